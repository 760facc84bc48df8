// The two formats of the text about metrics, and the choice between them by what a client accepts. Pure: bytes in, a format out.

import Bytes

/// The format of a text about metrics.
package enum MetricsFormat: Sendable, CaseIterable {
    /// OpenMetrics 1.0.0.
    case openMetrics
    /// The text format of Prometheus, 0.0.4.
    case prometheus

    /// The value of `Content-Type`.
    package var contentType: StaticString {
        switch self {
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        }
    }

    /// The format for a client that sent this `Accept` (RFC 9110 section 12.5.1): OpenMetrics where the client names it, in the version
    /// 1.0.0 or in any, and does not prefer plain text. Several fields are joined by commas; without one the value is empty.
    package init(accept value: [UInt8]) {
        var (openMetrics, plainText) = (0, 0)
        for range in value.split(separator: UInt8(ascii: ",")) {
            let range = MediaRange(range)
            switch range.type {
            case "application/openmetrics-text" where range.version == nil || range.version == "1.0.0":
                openMetrics = max(openMetrics, range.weight)
            case "text/plain": plainText = max(plainText, range.weight)
            default: break
            }
        }
        self = openMetrics > 0 && openMetrics >= plainText ? .openMetrics : .prometheus
    }
}

/// One element of an `Accept` field, as far as it matters here.
private struct MediaRange {
    /// In lower case.
    let type: String
    private(set) var version: String?
    /// In thousandths; 1000 without one, and 0 for one that is malformed.
    private(set) var weight = 1_000

    init(_ text: ArraySlice<UInt8>) {
        let parts = text.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false).map(MediaRange.lowercasedText)
        type = parts[0]
        for parameter in parts.dropFirst() {
            if parameter.hasPrefix("q=") { weight = MediaRange.thousandths(parameter.dropFirst(2)) }
            if parameter.hasPrefix("version=") { version = parameter.dropFirst(8).filter { $0 != "\"" } }
        }
    }

    private static func lowercasedText(_ bytes: ArraySlice<UInt8>) -> String {
        let bytes = Array(bytes)
        let inner = trimmingBlanks(bytes.span, 0..<bytes.count)
        return String(decoding: lowercasedBytes(bytes.span, inner), as: UTF8.self)
    }

    /// A weight of RFC 9110 section 12.4.2: 0 or 1, with up to three decimals.
    private static func thousandths(_ text: Substring) -> Int {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let decimals = parts.count > 1 ? parts[1] : ""
        guard parts[0] == "0" || parts[0] == "1", decimals.count <= 3, decimals.allSatisfy({ "0"..."9" ~= $0 }) else { return 0 }
        let rest = Int(decimals + String(repeating: "0", count: 3 - decimals.count)) ?? 0
        return min((parts[0] == "1" ? 1_000 : 0) + rest, 1_000)
    }
}
