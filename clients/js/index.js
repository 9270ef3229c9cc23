export { Client } from "./src/client.js";
export { Disconnected, Rejected } from "./src/errors.js";
