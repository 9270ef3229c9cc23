const { resolve } = require("node:path");

const clients = resolve(__dirname, "../../clients");
const modules = resolve(__dirname, "node_modules");

module.exports = {
  preset: "@react-native/jest-preset",
  roots: [__dirname, clients],
  testMatch: ["**/app.test.jsx"],
  moduleNameMapper: {
    "^@chat-gateway/client$": `${clients}/js/index.js`,
    "^@chat-gateway/react$": `${clients}/react/index.js`,
    "^@babel/runtime/(.*)$": `${modules}/@babel/runtime/$1`, // which the transform puts into the clients
    "^react$": `${modules}/react`,
  },
  transform: { "\\.[jt]sx?$": ["babel-jest", { presets: [resolve(modules, "@react-native/babel-preset")], configFile: false }] },
};
