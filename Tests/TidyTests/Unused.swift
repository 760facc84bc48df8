// Declarations that nothing in Sources uses: a textual check, which knows words and no types.

import Foundation

/// The code of Sources as words: comments and the text of strings are left out, what is interpolated into strings is kept.
enum Code {
    /// The lines of a file without its comments and without the text of its strings.
    static func lines(of file: SourceFile) -> [String] {
        var text = Array(file.lines.joined(separator: "\n"))[...]
        return String(code(&text, isInterpolation: false)).components(separatedBy: "\n")
    }

    private static func code(_ text: inout ArraySlice<Character>, isInterpolation: Bool) -> [Character] {
        var kept: [Character] = []
        var depth = 0
        while let character = text.first {
            let next = text.dropFirst().first
            if character == "/" && next == "/" {
                text = text.drop { $0 != "\n" }
            } else if character == "\"" || character == "#" && (next == "\"" || next == "#") {
                kept += string(&text)
            } else {
                if character == "(" { depth += 1 }
                if character == ")" {
                    if isInterpolation && depth == 0 { return kept }
                    depth -= 1
                }
                kept.append(character)
                text = text.dropFirst()
            }
        }
        return kept
    }

    /// Passes a string literal; what is interpolated is kept, and line ends, so that lines keep their numbers.
    private static func string(_ text: inout ArraySlice<Character>) -> [Character] {
        let hashes = text.prefix { $0 == "#" }.count
        text = text.dropFirst(hashes)
        guard text.first == "\"" else { return [] }
        let quotes = text.starts(with: "\"\"\"") ? 3 : 1
        text = text.dropFirst(quotes)
        let end = String(repeating: "\"", count: quotes) + String(repeating: "#", count: hashes)
        let escape = "\\" + String(repeating: "#", count: hashes)
        var kept: [Character] = ["\""]
        while !text.isEmpty, !text.starts(with: end) {
            if text.starts(with: escape + "(") {
                text = text.dropFirst(escape.count + 1)
                kept += [" "] + code(&text, isInterpolation: true) + [" "]
                text = text.dropFirst()
            } else if text.starts(with: escape) {
                text = text.dropFirst(escape.count + (text.dropFirst(escape.count).first == "\n" ? 0 : 1))
            } else {
                if text.first == "\n" { kept.append("\n") }
                text = text.dropFirst()
            }
        }
        text = text.dropFirst(end.count)
        return kept + ["\""]
    }

    /// The words of a line of code: names, and what is no name as single characters.
    static func words(_ line: String) -> [Substring] {
        var found: [Substring] = []
        var rest = line[...]
        while let first = rest.first {
            let word = first.isWord ? rest.prefix { $0.isWord } : rest.prefix(1)
            if !first.isWhitespace { found.append(word) }
            rest = rest[word.endIndex...]
        }
        return found
    }
}

extension Character {
    fileprivate var isWord: Bool { isLetter || isNumber || self == "_" }
}

/// One name and where it is declared.
struct Declaration: Equatable {
    let name: String
    let line: Int
}

extension Checks {
    private static let declaring: Set<Substring> = [
        "func", "var", "let", "struct", "enum", "class", "actor", "protocol", "typealias", "associatedtype",
    ]

    /// Requirements of the standard library's protocols, which nothing has to name.
    private static let witnesses: Set<String> = ["customMirror", "debugDescription", "description", "hash", "main"]

    /// What a file declares. Cases of an enum that is read from text or numbers (`: String`, `CaseIterable`) are left out: nothing has
    /// to name them.
    static func declarations(_ lines: [String]) -> [Declaration] {
        var rawEnums: [Int] = []
        return lines.enumerated().flatMap { number, line -> [Declaration] in
            let indentation = line.prefix { $0 == " " }.count
            let words = Code.words(line)
            rawEnums.removeAll { $0 >= indentation && words.first != nil || $0 > indentation }
            if words.contains("enum"), let colon = words.firstIndex(of: ":"),
                words[colon...].contains(where: { ["String", "CaseIterable", "UInt8", "Int32", "Int"].contains($0) })
            {
                rawEnums.append(indentation)
            }
            if words.first == "case" || words.starts(with: ["indirect", "case"]) {
                guard rawEnums.last.map({ $0 + 4 == indentation }) != true, let names = caseNames(words) else { return [] }
                return names.map { Declaration(name: $0, line: number + 1) }
            }
            return words.indices.dropLast().compactMap { position in
                let name = words[position + 1]
                guard declaring.contains(words[position]), name.first?.isLetter == true, !declaring.contains(name) else { return nil }
                return Declaration(name: String(name), line: number + 1)
            }
        }
    }

    /// The names in `case a, b(Int, Int), c`: those outside of parentheses. Nil for a pattern of a `switch`, which a colon ends.
    private static func caseNames(_ words: [Substring]) -> [String]? {
        var depth = 0
        var isName = false
        var names: [String] = []
        for word in words {
            if word == "(" || word == "[" { depth += 1 }
            if word == ")" || word == "]" { depth -= 1 }
            if depth == 0 && (word == ":" || word == ".") { return nil }
            if isName && depth == 0 && word.first?.isLetter == true { names.append(String(word)) }
            isName = depth == 0 && (word == "case" || word == ",")
        }
        return names
    }

    /// Names that Sources declares and does not use. A declaration that only tests need says so: `For tests` in its comment.
    static func unused(_ files: [SourceFile]) -> [String] {
        let codes = files.map { (file: $0, lines: Code.lines(of: $0)) }
        var occurrences: [Substring: Int] = [:]
        for code in codes { for line in code.lines { for word in Code.words(line) { occurrences[word, default: 0] += 1 } } }
        let declared = codes.flatMap { code in declarations(code.lines).map { (file: code.file, declaration: $0) } }
        for (_, declaration) in declared { occurrences[Substring(declaration.name)]! -= 1 }
        return declared.compactMap { file, declaration in
            guard occurrences[Substring(declaration.name)] == 0, !witnesses.contains(declaration.name) else { return nil }
            var above = declaration.line - 2
            while above >= 0 {
                let line = file.lines[above].trimmingCharacters(in: .whitespaces)
                guard line.hasPrefix("///") || line.hasPrefix("@") else { break }
                if line.contains("For tests") { return nil }
                above -= 1
            }
            return
                "\(file.path):\(declaration.line): Sources does not use \(declaration.name); remove it, or say `For tests` in its comment"
        }
    }
}
