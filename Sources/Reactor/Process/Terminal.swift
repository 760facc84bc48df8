// The terminal of somebody who runs a command: whether there is one, how wide it is, and a line that is written over itself.

import Glibc

/// A standard stream that may be a terminal.
public struct Terminal: Sendable {
    private let descriptor: Int32

    /// Standard output.
    public static let output = Terminal(descriptor: STDOUT_FILENO)
    /// Standard error.
    public static let error = Terminal(descriptor: STDERR_FILENO)

    /// Whether somebody looks at it.
    public var isThere: Bool { isatty(descriptor) == 1 }

    /// Whether colours are wanted: not in a pipe, nor with NO_COLOR (no-color.org), nor on a terminal that knows none.
    public var isColoured: Bool {
        let refusal = getenv("NO_COLOR").map { String(cString: $0) } ?? ""
        let kind = getenv("TERM").map { String(cString: $0) } ?? ""
        return isThere && refusal.isEmpty && kind != "dumb"
    }

    /// How many columns it has; 80 where nobody knows.
    public var columns: Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Replaces the line that was written last by this one; an empty one clears it.
    public func rewrite(_ line: String) {
        var text = "\r" + line + "\u{1B}[K"
        text.withUTF8 { bytes in _ = Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
    }
}
