// Node's http2 on one connection: some event streams that are never read, and others that are. Prints what the others got, as JSON.
import http2 from "node:http2";

const [address, unread, read, seconds] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const session = http2.connect(address, { rejectUnauthorized: false });
const report = { protocol: null, window: null, opened: 0, streams: [], errors: [] };
session.on("error", error => report.errors.push(error.message));
session.on("connect", () => { report.protocol = session.alpnProtocol; report.window = session.state.localWindowSize; });

function open(path, isRead) {
    const stream = session.request({ ":path": path, accept: "text/event-stream" });
    stream.on("error", error => report.errors.push(`${path}: ${error.message}`));
    stream.on("response", fields => { report.opened += fields[":status"] === 200 ? 1 : 0; });
    if (!isRead) return;
    const entry = { pieces: 0, longestSilence: 0 };
    let last = Date.now();
    report.streams.push(entry);
    stream.on("data", () => {
        entry.pieces += 1;
        entry.longestSilence = Math.max(entry.longestSilence, Date.now() - last);
        last = Date.now();
    });
}
for (let number = 0; number < unread; number++) open(`/unread${number}`, false);
setTimeout(() => { for (let number = 0; number < read; number++) open(`/read${number}`, true); }, 1000);
setTimeout(() => {
    console.log(JSON.stringify(report));
    process.exit();
}, 1000 + seconds * 1000);
