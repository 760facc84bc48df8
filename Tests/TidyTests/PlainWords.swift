// Words that cost a reader a dictionary, and the plain words for them.

import Testing

extension Checks {
    /// Words and pairs of words that must not come back, with what to write. Names in code are cut into their words too.
    static let replacedWords: [(word: String, better: String)] = [
        ("anew", "again, reopen"), ("but for", "except"), ("complain", "warn, report"), ("complains", "warns"), ("complaint", "warning"),
        ("complaints", "warnings, problems"), ("dearer", "more expensive"), ("for ever", "without limit"),
        ("for want", "without"), ("haste", "hurry"),
        ("hasten", "hurry"), ("heed", "respect, accept"), ("heir", "successor"), ("hither", "here"), ("lest", "so that … not"),
        ("mend", "repair"), ("mended", "repaired"), ("mends", "repairs"), ("thence", "from there"), ("thereof", "of it, or the noun"),
        ("whence", "from where"), ("whither", "where"), ("whoever", "the client, the caller: the noun"), ("whomever", "the noun"),
    ]

    /// The places at which a file uses such a word.
    static func oldWords(_ file: SourceFile) -> [String] {
        file.lines.enumerated().flatMap { number, line in
            let text = spacedWords(of: line)
            return replacedWords.filter { text.contains(" \($0.word) ") }.map {
                "\(file.path):\(number + 1): '\($0.word)'; plain words: \($0.better)"
            }
        }
    }

    /// The words of a line in lower case, each between blanks: `hasLostHeir` is ` has lost heir `.
    private static func spacedWords(of line: String) -> String {
        var text = " "
        var isLower = false
        for character in line {
            if !character.isLetter || (isLower && character.isUppercase), text.last != " " { text.append(" ") }
            if character.isLetter { text.append(contentsOf: character.lowercased()) }
            isLower = character.isLowercase
        }
        return text + " "
    }
}

@Suite("Plain words")
struct PlainWordsTests {
    @Test("no page, no source and no test uses a word that a reader would have to look up")
    func repository() {
        let files = Repository.textFiles.filter { !$0.path.hasPrefix("Tests/TidyTests/") }
        #expect(files.count > 100)
        let found = files.flatMap(Checks.oldWords)
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test("are seen in sentences, at a line's ends and in names, and not inside other words")
    func found() {
        func count(_ text: String) -> Int { Checks.oldWords(SourceFile(path: "A.swift", text: text)).count }
        #expect(count("// It is read anew.\nlet hasLostHeir = true\nAnew, but for ever\n/// for\n/// ever") == 5)
        #expect(count("the newest amendment, a complainant's renewed rehire; forever, but forest") == 0)
    }
}
