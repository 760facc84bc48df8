// The habits of the house, checked so that nobody has to remember them.

import Foundation
import Testing

@Suite("The house is tidy")
struct TidyTests {
    private var targets: [Target] { Target.all(in: Repository.file("Package.swift")!.lines.joined(separator: "\n")) }

    private func expectNone(_ found: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))", sourceLocation: sourceLocation)
    }

    @Test("targets import only what Package.swift gives them, and depend only on those above them")
    func layering() {
        #expect(targets.count >= 10 && Repository.swiftSources.count > 80)
        expectNone(Checks.order(targets) + Checks.seals(targets))
        expectNone(Repository.swiftSources.flatMap { Checks.layering($0, targets: targets) })
        expectNone(Repository.textFiles.filter { $0.path.hasSuffix(".swift") }.flatMap(Checks.doubledImports))
        let folders = Set(Repository.swiftSources.compactMap(\.target))
        #expect(folders.subtracting(targets.map(\.name)).isEmpty)
    }

    @Test("the rules of ASCII import nothing, and the cores of formats nothing but those rules, marks and HTTP's vocabulary")
    func cores() {
        let cores = Repository.swiftSources.filter { ["Bytes", "HTTP", "HTTP2", "EventStream"].contains($0.target) }
        #expect(cores.count > 15)
        let imports = cores.flatMap { file in Checks.imports(of: file).map { (file: file, line: $0.line, module: $0.module) } }
        expectNone(
            imports.filter { $0.file.target == "Bytes" || !["Bytes", "Marks"].contains($0.module) }
                .filter { $0.file.target != "HTTP2" || $0.module != "HTTP" }
                .map { "\($0.file.path):\($0.line): imports \($0.module)" })
    }

    @Test("each mark is reached in Sources, and a test asserts it")
    func marks() throws {
        let marks = try #require(Repository.file("Sources/Marks/Mark.swift"))
        expectNone(Checks.marks(marks, in: Repository.textFiles.filter { $0.path.hasSuffix(".swift") && $0.path != marks.path }))
    }

    @Test("files have no tabs, no white space at a line's end, no overlong lines and one line end at their end")
    func form() {
        let mayBeWide = { (file: SourceFile) in
            !file.path.hasSuffix(".swift") || Checks.wideFiles.keys.contains(where: file.path.hasPrefix)
        }
        expectNone(Repository.textFiles.flatMap { Checks.form($0, widest: mayBeWide($0) ? .max : 140) })
    }

    @Test("everything that Sources declares is used in Sources, or says that it is for tests")
    func unused() {
        // The core of HTTP/2 is used by the connections that speak it. Until the first of them is there, its declarations wait for them.
        let isAwaited = !Repository.swiftSources.contains { $0.path.hasPrefix("Sources/Downstreams/HTTP2/") }
        expectNone(Checks.unused(Repository.swiftSources).filter { !isAwaited || !$0.hasPrefix("Sources/HTTP2/") })
    }

    @Test("each room's code keeps to what the room is about")
    func walls() { expectNone(Repository.swiftSources.flatMap(Checks.walls)) }

    @Test("nothing is left lying, and nothing ships that has no place in a server")
    func leftovers() {
        expectNone(Repository.textFiles.filter { !$0.path.hasPrefix("Tests/TidyTests") }.flatMap(Checks.leftovers))
        expectNone(Repository.swiftSources.flatMap(Checks.banned))
    }

    @Test("every source file says what it is, and everything public is documented")
    func documentation() {
        expectNone(Repository.swiftSources.flatMap(Checks.opening))
        expectNone(Repository.swiftSources.flatMap(Checks.documentation))
    }

    @Test("no file of code grows beyond 450 lines")
    func length() { expectNone(Repository.textFiles.flatMap { Checks.length($0, most: 450) }) }

    @Test("the top level holds what was agreed, and each of its folders a README.md")
    func topLevel() throws {
        let entries = try FileManager.default.contentsOfDirectory(atPath: Repository.root.path)
        let agreed: Set<String> = ["Package.swift", "Sources", "Tests", "conf", "examples", "README.md"]
        let strangers = entries.filter { !$0.hasPrefix(".") && !agreed.contains($0) && $0 != "Package.resolved" }
        #expect(strangers.isEmpty && agreed.isSubset(of: entries), "\(strangers)")
        for folder in ["Sources", "Tests", "conf", "examples"] { #expect(Repository.file(folder + "/README.md") != nil) }
    }

    @Test("the prose of every page is wrapped at the width of code")
    func prose() { expectNone(Repository.textFiles.filter { $0.path.hasSuffix(".md") }.flatMap { Checks.wideProse($0, widest: 140) }) }

    @Test("every link of every page leads somewhere")
    func links() {
        let pages = Repository.textFiles.filter { $0.path.hasSuffix(".md") }
        #expect(pages.count >= 6)
        expectNone(
            pages.flatMap { page in
                Checks.links(
                    page, exists: { FileManager.default.fileExists(atPath: Repository.root.appendingPathComponent($0).path) },
                    headings: { Repository.file($0).map(Checks.anchors) ?? [] })
            })
    }
}

@Suite("The checks themselves")
struct CheckTests {
    private func file(_ text: String, path: String = "Sources/HTTP/A.swift") -> SourceFile { SourceFile(path: path, text: text) }

    @Test("Package.swift is read with names, dependencies and order")
    func package() {
        let text = """
            name: "x", targets: [
            .systemLibrary(name: "C"),
            .target(
                name: "A", dependencies: ["C"], swiftSettings: house),
            .executableTarget(name: "B", dependencies: ["A", "C"]),
            .testTarget(name: "T", dependencies: ["A"]),
            """
        let found = Target.all(in: text)
        #expect(found.map(\.name) == ["C", "A", "B"])
        #expect(found.map(\.dependencies) == [[], ["C"], ["A", "C"]])
    }

    @Test("see what breaks the layers")
    func layering() {
        let targets = [Target(name: "HTTP", dependencies: []), Target(name: "Reactor", dependencies: ["HTTP", "Proxy"])]
        #expect(Checks.order(targets).count == 1)
        #expect(Checks.layering(file("import Reactor\n"), targets: targets).count == 1)
        #expect(Checks.layering(file("@preconcurrency import Foundation\n"), targets: targets).count == 1)
        #expect(Checks.layering(file("internal import Foundation // for now\n"), targets: targets).count == 1)
        #expect(Checks.layering(file("import HTTP\nimport Glibc\n", path: "Sources/Reactor/A.swift"), targets: targets).isEmpty)
        let doubled = Checks.doubledImports(file("import HTTP\npublic import struct HTTP.Field\nimport Glibc\n"))
        #expect(doubled == ["Sources/HTTP/A.swift:2: imports HTTP twice"])
        let open = Target(name: "Proxy", dependencies: ["CLinux", "HTTP"])
        #expect(Checks.seals([open, Target(name: "Reactor", dependencies: ["CLinux"])]).count == 1)
    }

    @Test("see bad form, leftovers and what is banned")
    func form() {
        #expect(Checks.form(file("a\t\nb \n" + String(repeating: "c", count: 141) + "\n"), widest: 140).count == 3)
        #expect(Checks.form(file("a"), widest: 140).count == 1)
        #expect(Checks.form(file("a\n\n"), widest: 140).count == 1)
        #expect(Checks.form(file("a\n"), widest: 140).isEmpty)
        #expect(Checks.form(file("\"" + String(repeating: "c", count: 140) + "\n"), widest: 140).count == 1)
        #expect(Checks.length(file("a\nb\n", path: "Tests/Bench/a.c"), most: 2).isEmpty)
        #expect(Checks.length(file("a\nb\nc\n", path: "Tests/Bench/a.c"), most: 2) == ["Tests/Bench/a.c: 3 lines"])
        #expect(Checks.leftovers(file("// TO" + "DO: more\n")).count == 1)
        #expect(Checks.banned(file("import Foundation\n    print(1)\n// print(2)\n")).count == 2)
    }

    @Test("see what is not documented")
    func documentation() {
        #expect(Checks.opening(file("import A\n")).count == 1)
        #expect(
            Checks.documentation(file("public struct A {\n    /// B.\n    @inlinable\n    public var b: Int\n    public let c: Int\n}\n"))
                .count == 2)
    }

    @Test("see what is public because of where it stands")
    func members() {
        let text = """
            /// A.
            public enum A {
                case documentedAbove, likeAList
                case lone
                /// B.
                case pair(Int, Int)
                case other(Int, Int)
                var hidden: Int {
                    switch self {
                    case .lone: 1
                    }
                }
            }
            public extension A {
                static func f() {}
            }
            /// P.
            public protocol P {
                var p: Int { get }
                @discardableResult
                mutating func q() -> Int
            }
            enum Own {
                case own
            }
            @inlinable public func g() {}
            package struct P {}
            """
        let lines = Checks.documentation(file(text)).compactMap { $0.split(separator: ":").dropFirst().first.flatMap { Int($0) } }
        #expect(lines == [4, 7, 15, 19, 21, 26, 27])
    }

    @Test("see what is declared and not used, and nothing else")
    func unused() {
        let text = """
            enum Planted: Int { case one }
            enum Letter {
                case alpha, beta(Int, of: String)
                case gamma
            }
            // dead and alive
            func alive(_ letter: Letter, for planted: Planted) {
                switch letter {
                case .alpha: print("dead \\(alive)")
                case other: break
                }
            }
            func dead() {}
            struct Tested {
                /// For tests.
                @discardableResult
                var seen: Tested? { nil }
                var description: String { "gamma seen" }
            }
            """
        let found = Checks.unused([file(text)]).compactMap { $0.components(separatedBy: "not use ").last?.prefix { $0 != ";" } }
        #expect(found == ["beta", "gamma", "dead"])
        #expect(Checks.unused([file(text), file("dead(.gamma, .beta)\n", path: "Sources/HTTP/B.swift")]).isEmpty)
        let literals = "let a = #\"x \\(b) \\#(c) \"y\" \"# + \"\"\"\n d \\(e(\"f\")) \n\"\"\" // g\n"
        let words = Code.lines(of: file(literals)).map { Code.words($0).filter { $0.first?.isLetter == true } }
        #expect(words == [["let", "a", "c"], ["e"], [], []])
    }

    @Test("see words and texts behind a room's walls")
    func walls() {
        func found(_ text: String, in room: String) -> Int { Checks.walls(file(text, path: "Sources/\(room)/A.swift")).count }
        #expect(found("let link: Link\nsend(\"HTTP/1.1 200\\r\\n\")\n// Link, \"HTTP/1.\n", in: "Exchanges") == 3)
        #expect(found("let links: [Linked] = []\nlet clientDescriptor: Int32\n", in: "Exchanges") == 1)
        #expect(found("let a: Exchange, b: Telemetry\nlet nextHeartbeatAt = 0\n", in: "Upstreams") == 3)
        #expect(found("let a: Route\nlet cause = Cause.drained\n", in: "Downstreams") == 2)
        #expect(found("let link: Link, exchange: Exchange\n", in: "Proxy") == 0)
    }

    @Test("see marks that nothing reaches, and marks that no test asserts")
    func marks() {
        let marks = file("enum Mark {\n    case one\n    case two\n    case three\n}\n")
        let source = file("Mark.reached(.one)\nMark.reached(.two)\n")
        let test = file("@Test(\"x\", .reaches(.three, .one))\n", path: "Tests/HTTPTests/A.swift")
        #expect(
            Checks.marks(marks, in: [source, test]) == ["three: Sources does not reach it", "two: no test asserts that it is reached"])
    }

    @Test("see prose that is too wide, and leave tables and code alone")
    func prose() {
        let wide = String(repeating: "c", count: 137)
        let page = file("\(wide)abcd\n| \(wide) |\n    \(wide)\n```\n\(wide)abcd\n```\n- \(wide)ab\n", path: "conf/README.md")
        #expect(Checks.wideProse(page, widest: 140) == ["conf/README.md:1: 141 columns", "conf/README.md:7: 141 columns"])
    }

    @Test("see links that lead nowhere")
    func links() {
        let page = file("[a](b.md) [c](../d.md#e) [f](#g-h) [i](https://x)\n## G h\n", path: "conf/README.md")
        let found = Checks.links(page, exists: { $0 != "conf/b.md" }, headings: { $0 == "conf/README.md" ? Checks.anchors(page) : [] })
        let code = file("# A\n```sh\n# B [x](nowhere.md)\n```\n", path: "conf/README.md")
        #expect(Checks.anchors(code) == ["a"] && Checks.links(code, exists: { _ in false }, headings: { _ in [] }).isEmpty)
        #expect(found == ["conf/README.md:1: b.md leads nowhere", "conf/README.md:1: ../d.md#e names no heading"])
    }
}
