// Records streams, with their times, if the route asks for it: what the server sent, before anything is woven into it. The lines go into
// the queue of a log; another thread writes them into a file for each stream.
// Invariant: no recording holds the request's token, its query or its cookies.

import Configuration
import Credentials
import HTTP
import Reactor
import Telemetry

/// Records one stream.
final class StreamRecorder {
    private var writer: RecordingWriter
    private var mask: TokenMask?
    let queue: LogWriter
    private let startedAt: Int64
    /// Lines that found no room in the queue since this was asked last.
    private var lostLines: UInt64 = 0

    init(_ header: RecordingHeader, fileName: [UInt8], limitBytes: Int, mask: TokenMask?, queue: LogWriter, now: Int64) {
        writer = RecordingWriter(fileName: fileName, limitBytes: limitBytes)
        self.mask = mask
        self.queue = queue
        startedAt = now
        submit(writer.begin(header), byteCount: 0)
    }

    func receive(_ bytes: Span<UInt8>, now: Int64) {
        if mask == nil {
            record(bytes, now)
        } else if let masked = mask?.masked(bytes) {
            record(masked.span, now)
        }
    }

    func beat(byteCount: Int, now: Int64) { submit(writer.heartbeat(byteCount: byteCount, at: now - startedAt), byteCount: 0) }

    func end(_ end: RecordingEnd, evidence: String, now: Int64) {
        if let rest = mask?.finish() { record(rest.span, now) }
        submit(writer.end(end, evidence: evidence, at: now - startedAt), byteCount: 0)
    }

    func takeLostLines() -> UInt64 {
        defer { lostLines = 0 }
        return lostLines
    }

    private func record(_ bytes: Span<UInt8>, _ now: Int64) { submit(writer.bytes(bytes, at: now - startedAt), byteCount: bytes.count) }

    private func submit(_ lines: [UInt8], byteCount: Int) {
        guard !lines.isEmpty, !queue.submit(lines) else { return }
        writer.lose(byteCount: byteCount)
        lostLines += 1
    }
}

extension ExchangeWorker {
    /// Ends the recordings whose queue is not among those of other settings.
    func endRecordings(without shared: SharedState) {
        for (number, recorder) in recorders where !shared.recordings.values.contains(where: { $0 === recorder.queue }) {
            recorder.end(.open(reason: "configuration_changed"), evidence: "the route no longer records here", now: worker.now)
            count(recorder)
            recorders[number] = nil
        }
    }

    /// Counts the lines that a recording has lost since the last time.
    fileprivate func count(_ recorder: StreamRecorder) {
        let lost = recorder.takeLostLines()
        if lost > 0 { counters.add(.logLinesDropped, LogKind.recording, lost) }
    }
}

extension Exchange {
    /// Begins to record the stream that this response is, if the route asks for it. Compressed bytes could hold a token that nobody
    /// finds, and so could a stream whose request has a token that is too short to be told from other text.
    func beginRecording(_ head: ResponseHead, _ framing: BodyFraming) {
        guard let policy = route?.route.recording, isStream, notWovenBecause != .compressed, let queue = proxy.shared.recordings[policy]
        else { return }
        var mask: TokenMask?
        if let known = account.token {
            guard let token = (known as? RecordedToken)?.token, let found = TokenMask(of: token) else { return }
            mask = found
        }
        let about = description
        let unixMilliseconds = proxy.worker.kernel.unixMilliseconds()
        let header = RecordingHeader(
            timeMilliseconds: unixMilliseconds, contentType: contentType(of: head),
            notes: [
                ("stream", Array(about.stream.text.utf8)), ("route", Array((about.route ?? "").utf8)),
                ("upstream", Array((about.upstream ?? "").utf8)), ("server", Array((about.server ?? "").utf8)),
                ("path", about.path.map(Array.init) ?? []), ("framing", framing.name.withUTF8Buffer { Array($0) }),
            ])
        proxy.recorders[number] = StreamRecorder(
            header, fileName: RecordingWriter.name(timeMilliseconds: unixMilliseconds, about.stream), limitBytes: policy.fileBytes,
            mask: mask,
            queue: queue, now: now)
    }

    /// The head's Content-Type, if a recording can hold it and it does not show the token.
    private func contentType(of head: ResponseHead) -> [UInt8] {
        let plain = Array("text/event-stream".utf8)
        guard let value = head.firstValue(of: .contentType) else { return plain }
        let text = Array(head.bytes[value])
        let isPlain = text.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && account.token?.echo.isHeard(in: text.span, isCut: false) != true
        return isPlain && !text.isEmpty ? text : plain
    }

    /// The server sent these bytes of the stream's body.
    func record(_ bytes: Span<UInt8>) {
        guard route?.route.recording != nil, let recorder = proxy.recorders[number] else { return }
        recorder.receive(bytes, now: now)
        proxy.count(recorder)
    }

    /// A heartbeat was sent.
    func recordHeartbeat(byteCount: Int, now: Int64) {
        guard route?.route.recording != nil, let recorder = proxy.recorders[number] else { return }
        recorder.beat(byteCount: byteCount, now: now)
        proxy.count(recorder)
    }

    /// The stream is over.
    func recordEnd(_ ending: Ending?) {
        guard route?.route.recording != nil, let recorder = proxy.recorders.removeValue(forKey: number) else { return }
        let end: RecordingEnd =
            switch ending?.cause {
            case .upstreamFinished, nil: .finished
            case .upstreamCutOff: .cutOff
            case .upstreamReset: .reset
            case let cause?: .open(reason: cause.rawValue)
            }
        recorder.end(end, evidence: ending?.evidence ?? "", now: now)
        proxy.count(recorder)
    }
}
