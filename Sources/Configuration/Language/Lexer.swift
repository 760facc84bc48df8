// Splits the text of a configuration into lines of words.
//
// The lexer knows blanks, comments, quotes, escapes and environment variables, but no directives. Invariant: every word knows its place
// in the file. A variable's value is always one word or a part of one, so the environment cannot add a directive.

import Bytes

/// A word and where it stands.
struct Word: Equatable {
    var text: String
    var line: Int
    var column: Int
    /// A quoted word is never a brace.
    var isQuoted: Bool

    var opensBlock: Bool { !isQuoted && text == "{" }
    var closesBlock: Bool { !isQuoted && text == "}" }
}

struct Lexer {
    /// The largest configuration that is read, in bytes.
    static let maximumBytes = 1 << 20

    private(set) var report: Report
    private let environment: (String) -> String?
    private var scalars: [Unicode.Scalar] = []
    private var position = 0
    private var line = 0

    /// The words of a text, line by line, without empty lines. Errors go to the report.
    static func words(
        of bytes: [UInt8], fileName: String, environment: @escaping (String) -> String?
    ) -> (lines: [[Word]], report: Report) {
        var lexer = Lexer(report: Report(fileName: fileName), environment: environment)
        guard bytes.count <= maximumBytes else {
            lexer.report.add(.error, line: 1, column: 1, "the file is larger than \(Quantity.bytes(0...1).text(maximumBytes))")
            return ([], lexer.report)
        }
        var lines: [[Word]] = []
        var rest = bytes[...]
        if rest.starts(with: [0xef, 0xbb, 0xbf]) { rest = rest.dropFirst(3) }
        for raw in rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let content = raw.last == UInt8(ascii: "\r") ? raw.dropLast() : raw
            let words = lexer.readLine(content)
            if !words.isEmpty { lines.append(words) }
        }
        return (lines, lexer.report)
    }

    private init(report: Report, environment: @escaping (String) -> String?) {
        self.report = report
        self.environment = environment
    }

    private mutating func readLine(_ bytes: ArraySlice<UInt8>) -> [Word] {
        line += 1
        let text = String(decoding: bytes, as: UTF8.self)
        report.sourceLines.append(text)
        scalars = Array(text.unicodeScalars)
        position = 0
        if !text.utf8.elementsEqual(bytes) {
            let place = scalars.firstIndex(of: "\u{FFFD}") ?? 0
            fail(at: place, "this is not UTF-8 text")
            return []
        }
        if let place = scalars.firstIndex(where: { $0 != "\t" && isControl($0) }) {
            fail(at: place, "a control character (U+\(hexadecimal(scalars[place].value))) cannot stand here")
            return []
        }
        var words: [Word] = []
        while true {
            while position < scalars.count, isBlank(scalars[position]) { position += 1 }
            guard position < scalars.count, scalars[position] != "#" else { return words }
            let start = position
            let isQuoted = scalars[position] == "\""
            // A word that cannot be read is reported once; the rest of its line would only be a guess.
            guard let text = isQuoted ? readQuoted() : readBare() else { return [] }
            words.append(Word(text: text, line: line, column: start + 1, isQuoted: isQuoted))
        }
    }

    private mutating func readBare() -> String? {
        let start = position
        var text = String.UnicodeScalarView()
        while position < scalars.count, !isBlank(scalars[position]) {
            let scalar = scalars[position]
            if scalar == "{", position + 1 < scalars.count, scalars[position + 1] == "$" {
                guard let value = readVariable() else { return nil }
                text.append(contentsOf: value.unicodeScalars)
                continue
            }
            if scalar == "\"" {
                return fail(at: position, "a quote can only begin a word; write \\\" inside quotes")
            }
            if scalar == "{" || scalar == "}" {
                let isAlone = position == start && (position + 1 == scalars.count || isBlank(scalars[position + 1]))
                guard isAlone else {
                    return fail(at: position, "'\(scalar)' needs blanks around it, or quotes if it is part of a word")
                }
            }
            text.append(scalar)
            position += 1
        }
        return String(text)
    }

    private mutating func readQuoted() -> String? {
        let start = position
        var text = String.UnicodeScalarView()
        position += 1
        while position < scalars.count {
            let scalar = scalars[position]
            switch scalar {
            case "\"":
                position += 1
                if position < scalars.count, !isBlank(scalars[position]) {
                    return fail(at: position, "a blank is missing after the closing quote")
                }
                return String(text)
            case "\\":
                guard position + 1 < scalars.count, "\"\\{".unicodeScalars.contains(scalars[position + 1]) else {
                    return fail(at: position, "unknown escape; inside quotes write \\\\ for a backslash, \\\" for a quote, \\{ for a brace")
                }
                text.append(scalars[position + 1])
                position += 2
            case "{" where position + 1 < scalars.count && scalars[position + 1] == "$":
                guard let value = readVariable() else { return nil }
                text.append(contentsOf: value.unicodeScalars)
            default:
                text.append(scalar)
                position += 1
            }
        }
        return fail(at: start, "this quote is not closed on its line")
    }

    /// Reads `{$NAME}` or `{$NAME:default}` and returns the value.
    private mutating func readVariable() -> String? {
        let start = position
        guard let end = scalars[start...].firstIndex(of: "}") else {
            return fail(at: start, "the variable is not closed: write {$NAME} or {$NAME:default}")
        }
        let inside = scalars[(start + 2)..<end]
        let colon = inside.firstIndex(of: ":") ?? end
        let name = String(String.UnicodeScalarView(inside[..<colon]))
        let isName = !name.isEmpty && !(name.utf8.first.map(isDigit) ?? true) && name.utf8.allSatisfy(isNameByte)
        guard isName else {
            // The name may be the secret itself, written where the variable's name belongs.
            let isSecret = Redaction.namesSecret(scalars[..<start]) || report.isSecret(line)
            return fail(at: start, "\(isSecret ? "this" : quoted(name)) is not the name of an environment variable")
        }
        position = end + 1
        if let value = environment(name), !value.isEmpty || colon == end {
            if value.unicodeScalars.contains(where: isControl) {
                return fail(at: start, "the environment variable \(name) holds a control character")
            }
            return value
        }
        guard colon < end else {
            return fail(at: start, "the environment variable \(name) is not set; write {$\(name):default} to do without it")
        }
        return String(String.UnicodeScalarView(inside[(colon + 1)...]))
    }

    @discardableResult
    private mutating func fail(at place: Int, _ message: String) -> String? {
        report.add(.error, line: line, column: place + 1, message)
        return nil
    }

    private func isNameByte(_ byte: UInt8) -> Bool { isLetterOrDigit(byte) || byte == UInt8(ascii: "_") }
    private func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}
