// Reading what was written: lines of logs, and bytes as text.

import Foundation
import Synchronization
import Telemetry

/// A line is no object of JSON.
package struct NoJSONObject: Error {
    package let line: String
}

/// One line of a log as a dictionary.
package func jsonObject(_ line: some Sequence<UInt8>) throws -> [String: Any] {
    let data = Data(line)
    guard let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
        throw NoJSONObject(line: String(decoding: data, as: UTF8.self))
    }
    return object
}

/// Bytes as text, each byte a character of its own, so that none is lost.
package func latin1(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

/// Whether a text stands inside of these bytes; an empty one does not.
package func contains(_ bytes: [UInt8], _ text: String) -> Bool {
    let wanted = Array(text.utf8)
    guard !wanted.isEmpty, bytes.count >= wanted.count else { return false }
    return (0...(bytes.count - wanted.count)).contains { bytes[$0..<($0 + wanted.count)].elementsEqual(wanted) }
}

/// A log in memory.
package final class LogLines: LogSink {
    private let written = Mutex<[UInt8]>([])

    /// An empty log.
    package init() {}

    package func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        written.withLock { $0 += bytes }
        return true
    }

    package func reopen() -> Bool { true }

    /// All that was written so far.
    package var bytes: [UInt8] { written.withLock { $0 } }

    /// What was written so far, line by line. A line that is no JSON is left out.
    package var records: [[String: Any]] { bytes.split(separator: 10).compactMap { try? jsonObject($0) } }
}
