import { createPublicKey } from 'node:crypto';
import { isIP } from 'node:net';
import { parseReadinessProbe } from './readiness-probe.ts';
import { compileRequestLog, knativeTemplate } from './request-log-template.ts';
import { parseDuration, parsePatience, parsePercentile, parseSize, parseWhole, UnitError } from './units.ts';

/** How the text of an option is read, and which texts there are, in words for help and documents. */
export interface OptionKind {
  readonly placeholder: string;
  /** Such as `1 to 1024`, or `defer, shed`. */
  readonly accepts: string;
  /** @throws {UnitError} that says what would be right. */
  readonly parse: (text: string) => unknown;
}

/** A duration in ms. */
export const duration: OptionKind = {
  placeholder: 'duration',
  accepts: '1ms to 1h; units us, ms, s, m, h',
  parse: (text) => parseDuration(text),
};

/** A duration in ms that may be none. */
export const wait: OptionKind = {
  placeholder: 'duration',
  accepts: '0s to 1h; units us, ms, s, m, h',
  parse: (text) => parseDuration(text, 0),
};

/** A port; 0 picks a free one. */
export const port = whole('port', 0, 65_535);

export const patience: OptionKind = { placeholder: 'share', accepts: '0 to 1, or auto', parse: parsePatience };

/** A percentile, as a share. */
export const percentile: OptionKind = { placeholder: 'percent', accepts: '50 to 99.99', parse: parsePercentile };

export const yesOrNo: OptionKind = {
  ...oneOf('bool', 'true', 'false'),
  parse: (text) => oneOf('bool', 'true', 'false').parse(text) === 'true',
};

/** Where to listen. */
export const address: OptionKind = {
  placeholder: 'address',
  accepts: 'an IP address or a host name',
  parse: (text) => {
    if (isIP(text) || /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/.test(text)) return text;
    throw new UnitError(`"${text}" is not an address such as 0.0.0.0, ::1 or localhost`);
  },
};

/** The origin of a model server. */
export const upstream: OptionKind = {
  placeholder: 'url',
  accepts: 'http://HOST:PORT',
  parse: (text) => {
    if (!URL.canParse(text)) throw new UnitError(`"${text}" is not a URL such as http://127.0.0.1:8081`);
    const url = new URL(text);
    if (url.protocol !== 'http:') {
      throw new UnitError(`"${text}" is not an http:// URL: the companion speaks plain HTTP to the model beside it`);
    }
    if (url.pathname !== '/' || url.search || url.hash || url.username) {
      throw new UnitError(`"${text}" has more than host and port: paths are forwarded as they arrive`);
    }
    return url;
  },
};

/** Where events or spans are sent, over HTTP; null where the text is empty. */
export const sink: OptionKind = {
  placeholder: 'url',
  accepts: 'http(s)://HOST[:PORT][/PATH]',
  parse: (text) => {
    if (text === '') return null;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
    throw new UnitError(`"${text}" is not an address that is spoken to over HTTP: http(s)://HOST[:PORT][/PATH]`);
  },
};

/** `key=value` pairs as KServe's agent has them. A piece without `=` belongs to the value before it. */
export const keysAndValues: OptionKind = {
  placeholder: 'pairs',
  accepts: 'key=value, comma-separated',
  parse: (text) => {
    const pairs: [string, string][] = [];
    for (const piece of text === '' ? [] : text.split(',')) {
      const at = piece.indexOf('=');
      const last = pairs.at(-1);
      if (at > 0) pairs.push([piece.slice(0, at), piece.slice(at + 1)]);
      else if (at < 0 && last) last[1] += `,${piece}`;
      else throw new UnitError(`"${piece}" is not a pair such as team=vision`);
    }
    return Object.fromEntries(pairs);
  },
};

/** A share of the whole. */
export const share: OptionKind = {
  placeholder: 'share',
  accepts: '0 to 1',
  parse: (text) => {
    const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= 0 && value <= 1)) throw new UnitError(`"${text}" is not a share from 0 to 1`);
    return value;
  },
};

/** A share, or none at all, which is -1. */
export const shareOrOff: OptionKind = {
  ...share,
  accepts: '0 to 1, or off',
  parse: (text) => (text === 'off' ? -1 : share.parse(text)),
};

/** A template of Knative's request log. */
export const requestLogTemplate: OptionKind = {
  placeholder: 'template',
  accepts: 'text with {{.Request.Method}} and the like',
  parse: (text) => {
    compileRequestLog(text);
    return text || knativeTemplate;
  },
};

/** Names of HTTP headers, in lower case. */
export const headerNames: OptionKind = {
  placeholder: 'names',
  accepts: 'header names, comma-separated',
  parse: (text) => {
    const names = text
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== '');
    for (const name of names) {
      if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw new UnitError(`"${name}" is not a header name`);
    }
    return names;
  },
};

/** The name of a model in a path; empty: none. */
export const modelName: OptionKind = {
  placeholder: 'name',
  accepts: 'letters, digits, . _ ~ -',
  parse: (text) => {
    if (!/^[A-Za-z0-9._~-]*$/.test(text)) throw new UnitError(`"${text}" is not a model's name such as resnet-small`);
    return text;
  },
};

/** A model's readiness checks. */
export const readinessProbe: OptionKind = {
  placeholder: 'json',
  accepts: 'a core/v1 Probe as JSON, or an array of them',
  parse: parseReadinessProbe,
};

/** Ed25519 public keys. */
export const publicKeys: OptionKind = {
  placeholder: 'keys',
  accepts: 'base64 of SPKI DER, comma-separated',
  parse: (text) => {
    const keys = text.split(',').filter((key) => key !== '');
    for (const key of keys) {
      if (!isEd25519(key)) throw new UnitError(`"${key}" is not the base64 of an Ed25519 public key in SPKI DER`);
    }
    return keys;
  },
};

function isEd25519(key: string): boolean {
  try {
    const known = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' });
    return known.asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}

/** Any text of printable characters. */
export function text(placeholder: string, accepts: string): OptionKind {
  return {
    placeholder,
    accepts,
    parse: (given) => {
      if (given.length > 16_384) throw new UnitError('the text is longer than 16,384 characters');
      return given;
    },
  };
}

/** A path on the model server. */
export const path: OptionKind = {
  placeholder: 'path',
  accepts: 'a path that begins with /',
  parse: (text) => {
    if (!/^\/[\x21-\x7e]*$/.test(text)) throw new UnitError(`"${text}" is not a path that begins with /`);
    return text;
  },
};

/** A whole number from `low` to `high` of what the placeholder says. */
export function whole(placeholder: string, low: number, high: number): OptionKind {
  return { placeholder, accepts: `${low} to ${high}`, parse: (text) => parseWhole(text, low, high) };
}

/** A size in bytes, from `low` bytes. */
export function size(low: number): OptionKind {
  return {
    placeholder: 'size',
    accepts: `from ${low}B; units B, KB, MB, GB, KiB, MiB, GiB`,
    parse: (text) => parseSize(text, low),
  };
}

/** One of these words. */
export function oneOf(placeholder: string, ...words: string[]): OptionKind {
  return {
    placeholder,
    accepts: words.join(', '),
    parse: (text) => {
      if (!words.includes(text)) throw new UnitError(`"${text}" is not one of: ${words.join(', ')}`);
      return text;
    },
  };
}
