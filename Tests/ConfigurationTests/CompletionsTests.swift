// The scripts for shells, against the tables that the command line is read with. End-to-end tests run them in the shells.

import Testing

@testable import Configuration

@Suite("The completions of a shell")
struct CompletionsTests {
    /// The words of a script that are options of the program: `--name`, or for fish `-l name`.
    private func options(in script: String, of shell: Shell) -> Set<String> {
        let start: Regex<(Substring, Substring)> = shell == .fish ? /-l ([a-z-]+)/ : /--([a-z][a-z-]*)/
        return Set(script.matches(of: start).map { String($0.1) })
    }

    @Test("name every option and no other", arguments: Shell.allCases)
    func options(shell: Shell) {
        let known = Set(CommandLine.verbs.flatMap(\.options).map(\.name) + ["help", "version"])
        #expect(options(in: shell.completions, of: shell) == known)
    }

    @Test("give each command the options that it takes", arguments: CommandLine.verbs.map(\.name))
    func commands(name: String) throws {
        let verb = try #require(CommandLine.verbs.first { $0.name == name })
        let known = Set(verb.options.map(\.name))
        let lines = Shell.fish.completions.split(separator: "\n").filter { $0.contains("__fish_seen_subcommand_from \(name)'") }
        #expect(options(in: lines.joined(separator: "\n"), of: .fish) == known)
        let zsh = try #require(Shell.zsh.completions.split(separator: "\n").first { $0.hasPrefix("    \(name)) ") })
        #expect(options(in: String(zsh), of: .zsh) == known.union(["help"]))
        let parts = Shell.bash.completions.split(separator: "        \(name))\n")
        let bash = try #require(parts.last?.split(separator: "esac").first)
        #expect(parts.count == 2 && options(in: String(bash), of: .bash) == known.union(["help"]))
    }

    @Test("have no quotation marks of a value's name in the way of the script's own")
    func quotes() {
        for line in Shell.zsh.completions.split(separator: "\n") {
            #expect(line.hasPrefix("#") || line.count(where: { $0 == "'" }).isMultiple(of: 2), "\(line)")
            #expect(!line.contains("''"), "\(line)")
        }
    }

    @Test("are asked for by the name of a shell")
    func parsing() throws {
        for shell in Shell.allCases { #expect(try CommandLine.parse(["completions", shell.rawValue]) == .completions(shell)) }
        for words in [["tcsh"], ["bash", "zsh"]] {
            let error = #expect(throws: UsageError.self) { try CommandLine.parse(["completions"] + words) }
            #expect(error?.description.hasPrefix("'completions' needs one of bash, zsh and fish") == true)
        }
    }
}
