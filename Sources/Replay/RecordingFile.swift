// A recording, read as a whole from its file. Invariant: a file that is larger than a recording can be, or that would block, is refused.

import Configuration
import Telemetry

/// A recording that can be played.
package struct RecordingFile: Sendable {
    /// Why a file cannot be played.
    package struct Unusable: Error, Sendable {
        /// One line for the operator, with the file's name.
        package let message: String
    }

    /// The value of the response's `Content-Type`.
    package let contentType: [UInt8]
    /// What happened, in the order of time.
    package let entries: [RecordingEntry]

    /// These entries.
    package init(contentType: [UInt8], entries: [RecordingEntry]) {
        self.contentType = contentType
        self.entries = entries
    }

    /// Reads a file.
    /// - Throws: What is wrong with the file.
    package init(path: String) throws(Unusable) {
        func unusable(_ reason: String) -> Unusable { Unusable(message: "\(path) cannot be played: \(reason)") }
        var reader = RecordingReader()
        var entries: [RecordingEntry] = []
        var problem: RecordingError?
        let objection = OperatorFile.readPieces(of: path) { piece in
            do throws(RecordingError) { try reader.read(piece) { entries.append($0) } } catch { problem = error }
            return problem == nil
        }
        if let reason = objection ?? problem?.message { throw unusable(reason) }
        guard let header = reader.header else { throw unusable("its header is not complete") }
        self.init(contentType: header.contentType, entries: entries)
    }

    /// How many bytes of the server it holds.
    private var byteCount: Int {
        entries.reduce(0) { count, entry in if case .bytes(let bytes) = entry.kind { count + bytes.count } else { count } }
    }

    /// How many bytes of the server it lacks.
    private var lostCount: Int {
        entries.reduce(0) { count, entry in if case .lost(let lost) = entry.kind { count + lost } else { count } }
    }

    /// What will be played, in one line.
    package var summary: String {
        let seconds = (entries.last?.milliseconds ?? 0) / 1_000
        let ending =
            switch entries.last?.kind {
            case .end(.finished, _): "then the end of the body"
            case .end(.cutOff, _): "then a cut before the end of the body"
            case .end(.reset, _): "then a reset"
            case .end(.open(let reason), _): "then nothing: the recording ended with \(reason), and the server had not ended the stream"
            default: "then nothing: the recording has no end"
            }
        let lack = lostCount > 0 ? "; \(lostCount) bytes are missing, because they could not be recorded" : ""
        return "\(byteCount) bytes in \(seconds) s, \(ending)\(lack)"
    }
}
