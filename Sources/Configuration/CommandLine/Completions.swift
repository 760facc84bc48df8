// Scripts that complete the command line in shells, made from `CommandLine.verbs`.
//
// Invariant: a script names each command and each option, and no others.

/// A shell that completes the words of a command line.
package enum Shell: String, Sendable, CaseIterable {
    /// GNU bash, from 4.0 on.
    case bash
    /// The Z shell.
    case zsh
    /// The friendly interactive shell.
    case fish

    /// The script for this shell.
    package var completions: String {
        let verbs = CommandLine.verbs
        return switch self {
        case .bash: Self.bashScript(verbs)
        case .zsh: Self.zshScript(verbs)
        case .fish: Self.fishScript(verbs)
        }
    }

    private static func bashScript(_ verbs: [CommandLine.Verb]) -> String {
        let names = (verbs.map(\.name) + ["--help", "--version"]).joined(separator: " ")
        var values = ""
        var words = ""
        for verb in verbs {
            for option in verb.options where option.value != nil {
                values += "        '\(verb.name) --\(option.name)') \(option.takesFile ? "_heartwire_files" : ":"); return ;;\n"
            }
            let options = (verb.options.map { "--\($0.name)" } + ["--help"]).joined(separator: " ")
            let operands = verb.takesFiles ? "_heartwire_files" : "_heartwire_words '\(verb.operandWords.joined(separator: " "))'"
            words += """
                        \(verb.name))
                            case "$word" in
                                -*) _heartwire_words '\(options)' ;;
                                *) \(operands) ;;
                            esac ;;

                """
        }
        // `--name=value` comes as three words, because bash divides words at `=`.
        return """
            # Completions of heartwire for bash, made by 'heartwire completions bash'.
            _heartwire_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }
            _heartwire_files() { mapfile -t COMPREPLY < <(compgen -f -- "$word"); }
            _heartwire() {
                local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
                COMPREPLY=()
                if [ "$COMP_CWORD" = 1 ]; then _heartwire_words '\(names)'; return; fi
                if [ "$word" = = ]; then word=''
                elif [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD - 2]}
                fi
                case "${COMP_WORDS[1]} $before" in
            \(values)    esac
                case "${COMP_WORDS[1]}" in
            \(words)    esac
            }
            complete -o filenames -F _heartwire heartwire

            """
    }

    private static func zshScript(_ verbs: [CommandLine.Verb]) -> String {
        var cases = ""
        for verb in verbs {
            let options = verb.options.map { option in
                let start = "\(option.isRepeatable ? "*" : "")--\(option.name)"
                guard let value = option.value else { return "'\(start)'" }
                let shown = value.replacing("'", with: "").replacing(":", with: "\\:")
                return "'\(start)=:\(shown):\(option.takesFile ? "_files" : " ")'"
            }
            var operand: [String] = []
            if let name = verb.operand {
                let words = verb.operandWords.joined(separator: " ")
                operand = ["'*:\(name):\(verb.takesFiles ? "_files" : words.isEmpty ? " " : "(\(words))")'"]
            }
            cases += "    \(verb.name)) _arguments \((options + ["'--help'"] + operand).joined(separator: " ")) ;;\n"
        }
        return """
            #compdef heartwire
            # Completions of heartwire for zsh, made by 'heartwire completions zsh'.
            if (( CURRENT == 2 )); then
                compadd -- \(verbs.map(\.name).joined(separator: " ")) --help --version
                return
            fi
            shift words
            (( CURRENT-- ))
            case $words[1] in
            \(cases)esac

            """
    }

    private static func fishScript(_ verbs: [CommandLine.Verb]) -> String {
        var lines = [
            "# Completions of heartwire for fish, made by 'heartwire completions fish'.",
            "complete -c heartwire -f",
            "complete -c heartwire -n __fish_use_subcommand -a '\(verbs.map(\.name).joined(separator: " "))'",
            "complete -c heartwire -n __fish_use_subcommand -l version",
            "complete -c heartwire -l help",
        ]
        for verb in verbs {
            let start = "complete -c heartwire -n '__fish_seen_subcommand_from \(verb.name)'"
            for option in verb.options {
                lines.append("\(start) -l \(option.name)" + (option.takesFile ? " -r -F" : option.value == nil ? "" : " -x"))
            }
            if verb.takesFiles { lines.append("\(start) -F") }
            if !verb.operandWords.isEmpty { lines.append("\(start) -a '\(verb.operandWords.joined(separator: " "))'") }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension CommandLine.Option {
    /// Whether the value is the name of a file.
    fileprivate var takesFile: Bool { value?.hasPrefix("FILE") ?? false }
}

extension CommandLine.Verb {
    /// Whether files follow the options.
    fileprivate var takesFiles: Bool { operand == "LOG" || operand == "FILE" }

    /// The words that can follow the options, where they are known.
    fileprivate var operandWords: [String] { operand == "SHELL" ? Shell.allCases.map(\.rawValue) : [] }
}
