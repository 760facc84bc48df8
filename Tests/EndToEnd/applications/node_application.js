// Node.js without a framework, routing as hand-written servers do: the path is decoded (once more where it still holds escapes), cut at
// `?`, normalised, its blanks, dots and slashes at the end taken off, upper case ignored. Argument: the port.
const http = require("http");
const path = require("path");

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function route(url) {
  let name = decoded(decoded(url)).split(/[?#\0]/)[0].replace(/\\/g, "/");
  name = path.posix.normalize(name.replace(/;[^/]*/g, "")).replace(/[\s./]+$/, "").toLowerCase();
  return name;
}

http.createServer((request, response) => {
  response.end(route(request.url) === "/events" ? "protected" : "open");
}).listen(Number(process.argv[2]), "127.0.0.1");
