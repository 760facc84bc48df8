// The repository as these tests see it: its text files, and what Package.swift says of its targets.

import Foundation

/// One text file.
struct SourceFile {
    /// Relative to the repository's root.
    let path: String
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.components(separatedBy: "\n")
    }

    /// The folder right under `Sources`, for a file in there.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }
}

enum Repository {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// All files under a folder, those that git ignores left out.
    static func paths(under folder: String) -> [String] {
        let start = root.appendingPathComponent(folder).path
        let found = FileManager.default.enumerator(atPath: start)?.compactMap { $0 as? String } ?? []
        return found.filter { path in
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: start + "/" + path, isDirectory: &isFolder)
            let parts = path.split(separator: "/")
            return !isFolder.boolValue && !parts.contains { $0 == "__pycache__" || $0.hasPrefix(".") }
        }.map { folder + "/" + $0 }.sorted()
    }

    static func file(_ path: String) -> SourceFile? {
        (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)).map { SourceFile(path: path, text: $0) }
    }

    static let swiftSources = paths(under: "Sources").filter { $0.hasSuffix(".swift") }.compactMap(file)

    static let textFiles =
        ["Sources", "Tests", "conf", "examples"].flatMap(paths).filter { !$0.hasSuffix(".png") && !$0.contains("/corpora/") }.compactMap(
            file)
        + ["README.md", "Package.swift"].compactMap(file)
}

/// A target as Package.swift declares it.
struct Target: Equatable {
    let name: String
    let dependencies: [String]

    /// Reads the targets in their order; a declaration is `.target(name: "X", dependencies: ["Y"], …)` on one line or several.
    static func all(in package: String) -> [Target] {
        let kinds = [".systemLibrary(", ".target(", ".executableTarget("]
        let pieces = package.components(separatedBy: "name: \"")
        return pieces.indices.dropFirst().compactMap { index -> Target? in
            let opening = pieces[index - 1].trimmingCharacters(in: .whitespacesAndNewlines)
            let piece = pieces[index]
            guard let end = piece.firstIndex(of: "\""), kinds.contains(where: opening.hasSuffix) else { return nil }
            let name = String(piece[..<end])
            let rest = piece[end...].prefix { $0 != ")" }
            let list = rest.components(separatedBy: "dependencies: [").dropFirst().first?.prefix { $0 != "]" } ?? ""
            let dependencies = list.split(separator: ",").map { $0.filter { $0.isLetter || $0.isNumber } }
            return Target(name: name, dependencies: dependencies.filter { !$0.isEmpty })
        }
    }
}
