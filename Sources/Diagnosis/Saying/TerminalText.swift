// Lines for a terminal: wrapped at its width, coloured where it is one. Invariant: no character of a log that a terminal would obey
// reaches it.

/// Text that grows line by line.
struct TerminalText {
    enum Style: String {
        case plain = ""
        case strong = "\u{1B}[1m"
        case alarm = "\u{1B}[1;31m"
        case good = "\u{1B}[32m"
        case faint = "\u{1B}[2m"
        case accent = "\u{1B}[36m"
    }

    private(set) var text = ""
    private let columns: Int
    private let isColoured: Bool

    /// Of a width of at least 40 columns.
    init(columns: Int, isColoured: Bool) {
        self.columns = max(40, columns)
        self.isColoured = isColoured
    }

    var width: Int { columns }

    mutating func blank() { text += "\n" }

    /// Adds a paragraph. `first` stands before its first line; the others are indented by as much.
    mutating func add(_ words: String, _ style: Style = .plain, first: String = "") {
        let room = columns - first.count
        var lines: [String] = []
        var line = ""
        for word in Printable.text(words).split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > room {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(line)
        for (index, line) in lines.enumerated() {
            text += index == 0 ? first : String(repeating: " ", count: first.count)
            text += paint(line, style) + "\n"
        }
    }

    /// Adds a line of several pieces as they are.
    mutating func add(line pieces: [(String, Style)]) {
        text += pieces.map { paint(Printable.text($0.0), $0.1) }.joined() + "\n"
    }

    private func paint(_ text: String, _ style: Style) -> String {
        isColoured && style != .plain && !text.isEmpty ? style.rawValue + text + "\u{1B}[0m" : text
    }
}

/// Text without characters that act.
package enum Printable {
    /// The text, with each control character, each separator of lines and each mark that reorders text replaced by U+FFFD.
    package static func text(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { acts($0) ? "\u{FFFD}" : $0 }))
    }

    private static func acts(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB: true
        default: false
        }
    }
}
