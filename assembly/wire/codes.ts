// The words that wire.wasm and its host share: compiled by AssemblyScript and by TypeScript. Plain enums only.

/** Version of the boundary. */
export enum WireAbi {
  Version = 4,
}

/** What a scan of a body came to. */
export enum WireStatus {
  Ok = 0,
  /** Not JSON by RFC 8259, at the offset. */
  Syntax = 1,
  /** Nested deeper than 64. */
  Depth = 2,
  /** A string is not well-formed UTF-8. */
  Encoding = 3,
  /** A key that the protocol reads occurs twice in one object. */
  DuplicateKey = 4,
  /** Valid JSON, but not a body that can be batched: forward it as it is. */
  PassThrough = 5,
  /** A field of the protocol has the wrong type or is missing. */
  Type = 6,
  /** Shape and data do not agree. */
  Shape = 7,
  /** More inputs or keys than the layout has room for: forward it as it is. */
  TooMany = 8,
  /** A reply holds a list beside its rows: it may have one element for each item, so it cannot go to every caller. */
  ListBeside = 9,
  /** Sizes of raw tensors, their shapes and datatypes, and the bytes that are there do not agree. */
  Raw = 10,
  /** Not a message by the encoding of Protocol Buffers, at the offset. */
  Message = 11,
}

/** How a scan names a body's template: below `Places` its place in the kernel's table of templates. */
export enum Template {
  /** Templates that are kept. `Places + place`: it was not there, and is now. */
  Places = 64,
  /** Longer than the table takes. */
  TooLong = 128,
}

/** What a hole in a body's template holds. Everything outside the holes must be equal for bodies to be merged. */
export enum HoleKind {
  /** The rows of a list, without its brackets. */
  Rows = 1,
  /** The first number of a shape. */
  Count = 2,
  /** The value of the top-level `id`, with its quotes. */
  Id = 3,
  /** The value of the request parameter `timeout`. */
  Timeout = 4,
  /** The value of the request parameter `priority`. */
  Priority = 5,
  /** A tensor's `binary_data_size`. In JSON the n-th one belongs to the n-th raw tensor; in a message `rows` is n. */
  RawSize = 6,
  /** A raw tensor whose elements have one width. */
  Raw = 7,
  /** A raw tensor of BYTES, each element behind its length. Its rows are its elements. */
  RawStrings = 8,
  /** In a message: a length. Its `rows` is the first hole behind what it announces. */
  Length = 9,
}
