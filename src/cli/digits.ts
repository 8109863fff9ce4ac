import { Command } from 'commander';
import { DigitsServer } from '../digits/server.ts';
import { parseWhole } from '../policy/units.ts';
import { argument, portArgument } from './arguments.ts';

/** `paceline digits`: the embedded model server. */
export function digitsCommand(): Command {
  return new Command('digits')
    .description('serve the embedded digit model over V1 and V2 REST, one call at a time')
    .option('--port <port>', 'where to listen; 0 picks a free one', portArgument, 8081)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option(
      '--max-batch-size <images>',
      'images of one call; more get 413',
      argument((text) => parseWhole(text, 1, 64)),
      32,
    )
    .action(async (options: { port: number; host: string; maxBatchSize: number }) => {
      const server = new DigitsServer(options.maxBatchSize);
      const port = await server.listen(options.port, options.host);
      const stop = () => {
        server.close();
        process.exit(0);
      };
      for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.on(event, stop);
      // A parent process reads this line to learn the port.
      console.log(`digits ready on ${port}`);
    });
}
