/** A command or HTTP call was rejected. `code` is stable (docs/protocol.md, "Errors"); `status` is that of HTTP. */
export class Rejected extends Error {
  name = "Rejected";

  constructor(code, message, { status = null, retryAfterS = null } = {}) {
    super(message);
    Object.assign(this, { code, status, retryAfterS });
  }
}

/** There is no connection, and there will be none before `connect` is called. `code` is the close code. */
export class Disconnected extends Error {
  name = "Disconnected";

  constructor(code) {
    super(`The connection was closed (${code}).`);
    this.code = code;
  }
}
