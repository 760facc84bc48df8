// How a browser treats the windows of HTTP/2.

import TestSupport

/// One browser's windows.
struct BrowserManner {
    enum Kind {
        case usual
        /// The proxy's DATA has to wait for pages that read at once, too.
        case narrow
        /// Node's: 65,535 for each stream and for the connection, and both are given back when the page reads. There a page that does not
        /// read holds window of all others.
        case small
    }

    let kind: Kind
    /// INITIAL_WINDOW_SIZE.
    let initialWindow: Int
    /// What the connection's window has above the 65,535 of the standard.
    let widerBy: Int
    /// How long WINDOW_UPDATE of a stream may take.
    private(set) var lateMilliseconds = 0...0
    /// Whether WINDOW_UPDATE waits until half of a window has been read.
    let returnsHalves: Bool

    init(_ chance: inout Chance, _ kind: Kind) {
        self.kind = kind
        switch kind {
        case .usual: initialWindow = chance.pick([65_535, 131_072, 6 << 20])
        case .narrow: initialWindow = chance.pick([0, 1, 100, 5_000])
        case .small: initialWindow = 65_535
        }
        widerBy = kind == .small ? 0 : chance.pick([0, 100_000, 15 << 20])
        // Where the connection's window came long before a stream's, nobody could say which of them let bytes go.
        if kind != .small, chance.permille(500) { lateMilliseconds = 0...chance.number(1...300) }
        returnsHalves = kind != .narrow && chance.permille(500)
    }

    /// How many bytes are given back to the connection at least.
    var leastReturn: Int { returnsHalves ? (65_535 + widerBy) / 2 : 1 }
}
