// `heartwire diagnose`: reads the files, shows how far it is, and prints what was found. Reading lines, finding causes and saying them is
// `Diagnosis`'s.

import Configuration
import Diagnosis
import Reactor

enum DiagnoseCommand {
    private static let pieceBytes = 1 << 18

    /// Reads the logs and reports. Ends the process at the first file that cannot be read.
    static func run(_ paths: [String], isJSON: Bool, pagePath: String?) {
        SystemProcess.endOnSignals()
        let report = Report(read(paths))
        var pageFailure: SystemError?
        if let pagePath { do throws(SystemError) { try OutputFile.write(report.page, to: pagePath) } catch { pageFailure = error } }
        // A page that cannot be written is no reason to keep silent about what was found.
        if isJSON {
            Main.say(String(decoding: report.json, as: UTF8.self) + "\n")
        } else {
            let terminal = Terminal.output
            Main.say(report.text(columns: terminal.columns, isColoured: terminal.isColoured))
        }
        if let pagePath, let pageFailure {
            Main.fail("\(Printable.text(pagePath)) cannot be written: \(pageFailure.message)", status: ExitStatus.cannotCreate)
        }
    }

    private static func read(_ paths: [String]) -> LogFacts {
        var reader = LogReader()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
        defer { memory.deallocate() }
        // All are opened first: nobody waits for gigabytes to hear of a name that is misspelled.
        let files = withoutRepetitions(paths.map { path in (path: path, file: open(path)) }, &reader)
        var progress = Progress(of: files.map { $0.file.byteCount })
        for (path, file) in files {
            reader.beginFile(path)
            while true {
                let count: Int
                do { count = try file.read(into: memory) } catch { fail(path, error) }
                if count == 0 { break }
                let bytes = UnsafeRawBufferPointer(rebasing: memory[..<count]).assumingMemoryBound(to: UInt8.self)
                reader.read(bytes.span)
                progress.show(bytesOfFile: file.readByteCount, lines: reader.lineCount)
            }
            reader.endFile()
            progress.endFile()
        }
        progress.clear()
        return reader.finish()
    }

    /// Without files that were named before, under whatever name: their lines would count twice.
    private static func withoutRepetitions(
        _ files: [(path: String, file: InputFile)], _ reader: inout LogReader
    ) -> [(path: String, file: InputFile)] {
        var names: [InputFile.Identity: String] = [:]
        return files.filter { path, file in
            guard let identity = file.identity else { return true }
            guard let first = names[identity] else {
                names[identity] = path
                return true
            }
            let same = first == path ? "was named before" : "is the same file as \(name(first))"
            SystemProcess.warn("heartwire: \(name(path)) \(same): it is read once")
            reader.leaveOutFile(path)
            return false
        }
    }

    private static func name(_ path: String) -> String { path == "-" ? "standard input" : Printable.text(path) }

    private static func open(_ path: String) -> InputFile {
        do { return try InputFile(path: path) } catch { fail(path, error) }
    }

    private static func fail(_ path: String, _ failure: InputFile.Failure) -> Never {
        let why =
            switch failure {
            case .system(let error): error.message
            case .unpacking(let how): how
            }
        Main.fail("\(name(path)) cannot be read: \(why)", status: ExitStatus.noInput)
    }
}

/// How far the reading is, on a terminal.
private struct Progress {
    private let sizes: [Int?]
    private let all: Int?
    private let isShown = Terminal.error.isThere
    private var file = 0
    private var before = 0
    private var shownBytes = 0
    private static let stepBytes = 1 << 24

    init(of sizes: [Int?]) {
        self.sizes = sizes
        all = sizes.contains(nil) ? nil : sizes.reduce(0) { $0 + ($1 ?? 0) }
    }

    mutating func show(bytesOfFile: Int, lines: Int) {
        let bytes = before + bytesOfFile
        guard isShown, bytes - shownBytes >= Progress.stepBytes || bytes < shownBytes else { return }
        shownBytes = bytes
        let read = "\(Words.count(lines, "line")), \(Words.count(bytes >> 20)) MiB"
        guard let all, all > 0 else { return Terminal.error.rewrite("reading: \(read)") }
        let share = min(1, Double(bytes) / Double(all))
        let filled = Int(share * 30)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        Terminal.error.rewrite("reading [\(bar)] \(Words.percent(share)), \(read) of \(Words.count(all >> 20))")
    }

    mutating func endFile() {
        before += sizes[file] ?? 0
        file += 1
    }

    func clear() { if isShown, shownBytes > 0 { Terminal.error.rewrite("") } }
}
