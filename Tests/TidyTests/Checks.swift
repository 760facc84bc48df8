// What the house asks of its files, as functions of a text, so that each check can be seen to fail.

import Foundation

enum Checks {
    /// Modules of the toolchain and who may import them. Whatever stands in no list is declared in Package.swift.
    static let toolchain: [String: Set<String>] = [
        // The kernel is reached through the reactor alone; the configuration reads addresses and, once, its file; the log's
        // writer sleeps on a condition; the diagnosis takes logarithms.
        "Glibc": ["Reactor", "Configuration", "Telemetry", "Diagnosis"],
        "Synchronization": ["Reactor", "Credentials", "Downstreams", "Exchanges", "Proxy", "Telemetry", "Upstreams"],
    ]

    /// System libraries and the only targets that may declare them: the kernel has one door, and so has cryptography. The actors of the
    /// simulated world speak TLS by themselves, so that the reactor's is not judged by itself.
    static let sealed: [String: Set<String>] = ["CLinux": ["Reactor"], "COpenSSL": ["Credentials", "Reactor", "SimulationTests"]]

    private static let accessLevels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]

    /// The modules that a file imports, with their lines.
    static func imports(of file: SourceFile) -> [(line: Int, module: String)] {
        file.lines.enumerated().compactMap { number, line in
            let words = line.components(separatedBy: "//")[0].split(separator: " ")
            guard let position = words.firstIndex(of: "import"), position + 1 < words.count,
                words[..<position].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
            else { return nil }
            return (number + 1, String(words.last!.split(separator: ".")[0]))
        }
    }

    /// No file says twice what it imports.
    static func doubledImports(_ file: SourceFile) -> [String] {
        var seen: Set<String> = []
        return imports(of: file).compactMap { line, module in
            seen.insert(module).inserted ? nil : "\(file.path):\(line): imports \(module) twice"
        }
    }

    /// A file imports what its target declares, and of the toolchain what it may.
    static func layering(_ file: SourceFile, targets: [Target]) -> [String] {
        guard let target = targets.first(where: { $0.name == file.target }) else { return [] }
        return imports(of: file).compactMap { line, module in
            if target.dependencies.contains(module) || toolchain[module]?.contains(target.name) == true { return nil }
            return "\(file.path):\(line): \(target.name) imports \(module), which Package.swift does not give it"
        }
    }

    /// A sealed library is declared only by those who may.
    static func seals(_ targets: [Target]) -> [String] {
        targets.flatMap { target in
            target.dependencies.filter { sealed[$0]?.contains(target.name) == false }
                .map { "Package.swift: \(target.name) may not depend on \($0)" }
        }
    }

    /// A target depends only on those above it.
    static func order(_ targets: [Target]) -> [String] {
        targets.enumerated().flatMap { position, target in
            let above = targets[..<position].map(\.name)
            return target.dependencies.filter { !above.contains($0) }.map { dependency in
                "Package.swift: \(target.name) depends on \(dependency), which is not above it"
            }
        }
    }

    /// Files that hold the lines of another language, and why they may be wide.
    static let wideFiles = [
        "Sources/Demo/Page": "HTML, style and script of the demo's page: a break inside of a string or an element shows"
    ]

    /// White space, width and the end of a text.
    static func form(_ file: SourceFile, widest: Int) -> [String] {
        var found: [String] = []
        for (number, line) in file.lines.enumerated() {
            if line.contains("\t"), !file.path.hasSuffix(".tsv") { found.append("\(file.path):\(number + 1): a tab") }
            if line.hasSuffix(" ") { found.append("\(file.path):\(number + 1): white space at the end") }
            if line.count > widest { found.append("\(file.path):\(number + 1): \(line.count) columns") }
        }
        if file.lines.last != "" || file.lines.dropLast().last == "" { found.append("\(file.path): does not end with one line end") }
        return found
    }

    /// Marks that production code does not reach, and those that no test asserts.
    static func marks(_ declared: SourceFile, in files: [SourceFile]) -> [String] {
        let marks = declared.lines.map { $0.trimmingCharacters(in: .whitespaces) }.filter { $0.hasPrefix("case ") }.map {
            String($0.dropFirst(5))
        }
        let lines = files.flatMap { file in file.lines.map { (isTest: file.path.hasPrefix("Tests/"), line: $0) } }
        func found(_ start: String, _ name: String, isTest: Bool) -> Bool {
            lines.contains { $0.isTest == isTest && $0.line.contains(start) && Code.words($0.line).contains(Substring(name)) }
        }
        return marks.filter { !found("Mark.reached(", $0, isTest: false) }.map { "\($0): Sources does not reach it" }
            + marks.filter { !found(".reaches(", $0, isTest: true) }.map { "\($0): no test asserts that it is reached" }
    }

    /// A file of code that has grown too long holds more than one idea.
    static func length(_ file: SourceFile, most: Int) -> [String] {
        let isCode = [".swift", ".py", ".c", ".h", ".js", ".java"].contains(where: file.path.hasSuffix)
        let count = file.lines.count - 1
        return isCode && count > most ? ["\(file.path): \(count) lines"] : []
    }

    /// Marks of work that was left lying.
    static let markers = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "not implemented", "stub"]

    static func leftovers(_ file: SourceFile) -> [String] {
        file.lines.enumerated().flatMap { number, line in
            markers.filter { line.contains($0) }.map { "\(file.path):\(number + 1): \($0)" }
        }
    }

    /// Calls that have no place in a server: output beside the logs, and the whole of Foundation.
    static func banned(_ file: SourceFile) -> [String] {
        file.lines.enumerated().compactMap { number, line in
            let code = line.trimmingCharacters(in: .whitespaces)
            guard !code.hasPrefix("//") else { return nil }
            if code == "import Foundation" { return "\(file.path):\(number + 1): Foundation never ships" }
            for call in ["print(", "debugPrint(", "dump("] where code.hasPrefix(call) || code.contains(" " + call) {
                return "\(file.path):\(number + 1): \(call)"
            }
            return nil
        }
    }

    /// A file opens by saying what it is.
    static func opening(_ file: SourceFile) -> [String] {
        file.lines.first?.hasPrefix("// ") == true ? [] : ["\(file.path):1: does not begin with a comment that says what it is"]
    }

    /// Everything that other targets can see has a documentation comment: what is declared so, and what belongs to such an
    /// enum, protocol or extension. A `case` that lists several names is documented by its enum, which says what they have in common.
    static func documentation(_ file: SourceFile) -> [String] {
        var surroundings: (kind: Substring, indentation: Int)?
        return file.lines.indices.compactMap { index in
            let line = file.lines[index]
            let indentation = line.prefix { $0 == " " }.count
            if let outer = surroundings, outer.indentation == indentation, line.dropFirst(indentation).hasPrefix("}") { surroundings = nil }
            let words = line.split(separator: " ").drop { $0.hasPrefix("@") }
            let isPublic = words.first.map { ["public", "package", "open"].contains($0) } ?? false
            let kind = words.first { ["enum", "protocol", "extension"].contains($0) }
            let isMember = surroundings.map { $0.indentation + 4 == indentation && isDeclaration(words, in: $0.kind) } ?? false
            if isPublic, let kind, !line.hasSuffix("}") { surroundings = (kind, indentation) }
            guard isPublic || isMember, !words.contains("override"), kind != "extension", !words.contains("import") else { return nil }
            var above = index - 1
            while above >= 0, file.lines[above].trimmingCharacters(in: .whitespaces).hasPrefix("@") { above -= 1 }
            let comment = above >= 0 ? file.lines[above].trimmingCharacters(in: .whitespaces) : ""
            return comment.hasPrefix("///") ? nil : "\(file.path):\(index + 1): no documentation: \(words.joined(separator: " "))"
        }
    }

    private static func isDeclaration(_ words: ArraySlice<Substring>, in kind: Substring) -> Bool {
        let words = words.drop { ["static", "mutating", "indirect", "nonisolated"].contains($0) }
        guard let first = words.first?.prefix(while: { $0.isLetter }) else { return false }
        if kind == "enum" {
            guard first == "case" else { return false }
            let names = words.joined(separator: " ").components(separatedBy: "(")[0]
            return !names.contains(",") && !names.contains(":")
        }
        return ["func", "var", "let", "init", "subscript", "typealias", "associatedtype"].contains(first)
    }

    /// The lines of a page that are its own words; those of code blocks are empty.
    static func prose(_ file: SourceFile) -> [String] {
        var isCode = false
        return file.lines.map { line in
            let isFence = line.trimmingCharacters(in: .whitespaces).hasPrefix("```")
            if isFence { isCode.toggle() }
            return isFence || isCode ? "" : line
        }
    }

    /// Prose that is wider than code may be. Tables and code are as wide as they need to be.
    static func wideProse(_ page: SourceFile, widest: Int) -> [String] {
        prose(page).enumerated().compactMap { number, line in
            let isTableOrCode = line.hasPrefix("|") || line.hasPrefix("    ")
            return line.count > widest && !isTableOrCode ? "\(page.path):\(number + 1): \(line.count) columns" : nil
        }
    }

    /// The links of a page that lead nowhere. `exists` is asked for paths from the root; `headings` for the anchors of a page.
    static func links(_ file: SourceFile, exists: (String) -> Bool, headings: (String) -> Set<String>) -> [String] {
        let folder = file.path.split(separator: "/").dropLast().map(String.init)
        return prose(file).enumerated().flatMap { number, line -> [String] in
            line.components(separatedBy: "](").dropFirst().compactMap { piece -> String? in
                let link = String(piece.prefix { $0 != ")" })
                guard !link.contains("://") else { return nil }
                let parts = link.components(separatedBy: "#")
                let path = parts[0].isEmpty ? file.path : resolve(parts[0], from: folder)
                guard exists(path) else { return "\(file.path):\(number + 1): \(link) leads nowhere" }
                guard parts.count > 1, !headings(path).contains(parts[1]) else { return nil }
                return "\(file.path):\(number + 1): \(link) names no heading"
            }
        }
    }

    private static func resolve(_ path: String, from folder: [String]) -> String {
        var parts = folder
        for part in path.split(separator: "/") {
            if part == ".." { parts = parts.dropLast() } else if part != "." { parts.append(String(part)) }
        }
        return parts.isEmpty ? "." : parts.joined(separator: "/")
    }

    /// The anchors that a page's headings make.
    static func anchors(_ file: SourceFile) -> Set<String> {
        Set(
            prose(file).filter { $0.hasPrefix("#") }.map { line in
                String(
                    line.drop { $0 == "#" || $0 == " " }.lowercased().compactMap { character -> Character? in
                        if character == " " { return "-" }
                        return character.isLetter || character.isNumber || "-_".contains(character) ? character : nil
                    })
            })
    }
}
