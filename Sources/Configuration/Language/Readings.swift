// The common kinds of rows. Each one says how its arguments are read, and takes its default from the model, so that a directive of
// these kinds is one row of a table and one property of the model.

extension Row {
    /// A directive with a reading of its own.
    ///
    /// - Parameters:
    ///   - arguments: How many arguments it takes, the opening brace not counted.
    ///   - fallback: The arguments that have the same effect as no directive, or a sentence in parentheses.
    static func own(
        _ name: String, _ syntax: String, arguments: ClosedRange<Int> = 1...1, block: Directive.Block = .none, default fallback: String,
        quantity: Quantity? = nil, isRepeatable: Bool = false, isSecret: Bool = false, _ summary: String, _ read: @escaping Reading
    ) -> Row {
        Row(
            directive: Directive(
                name: name, scope: Model.scope, syntax: syntax, argumentCount: arguments, block: block, defaultText: fallback,
                summary: summary, isRepeatable: isRepeatable, isSecret: isSecret, quantity: quantity),
            read: read)
    }

    /// A number with its unit.
    static func number(_ name: String, _ path: Setting<Model, Int>, _ quantity: Quantity, _ summary: String) -> Row {
        var row = own(
            name, quantity.placeholder, default: quantity.text(Model.defaults[keyPath: path]), quantity: quantity, summary
        ) { interpreter, statement, model in
            if let value = interpreter.read(quantity, statement.arguments[0]) { model[keyPath: path] = value }
        }
        row.number = path
        return row
    }

    /// A number with its unit, or `off`.
    static func numberOrOff(_ name: String, _ path: Setting<Model, Int?>, _ quantity: Quantity, _ summary: String) -> Row {
        own(
            name, "\(quantity.placeholder)|off", default: Model.defaults[keyPath: path].map(quantity.text) ?? "off", quantity: quantity,
            summary
        ) { interpreter, statement, model in
            let word = statement.arguments[0]
            if word.text == "off" {
                model[keyPath: path] = nil
            } else if let value = interpreter.read(quantity, word) {
                model[keyPath: path] = value
            }
        }
    }

    /// One of a few words. The default is the word of the model's value, or `fallback` where the model's value has no word.
    static func word<Value: Equatable & Sendable>(
        _ name: String, _ path: Setting<Model, Value>, _ choices: [(String, Value)], default fallback: String? = nil, _ summary: String
    ) -> Row {
        let value = Model.defaults[keyPath: path]
        let known = choices.first { $0.1 == value }?.0
        guard let text = known ?? fallback else { preconditionFailure("the default of '\(name)' is none of its words") }
        return own(name, choices.map(\.0).joined(separator: "|"), default: text, summary) { interpreter, statement, model in
            if let value = interpreter.choose(statement.arguments[0], from: choices) { model[keyPath: path] = value }
        }
    }

    /// `on` or `off`.
    static func flag(_ name: String, _ path: Setting<Model, Bool>, _ summary: String) -> Row {
        word(name, path, Interpreter.onOrOff, summary)
    }

    /// A text that is passed on as it stands, such as a file or a list for OpenSSL.
    static func text(_ name: String, _ syntax: String, _ path: Setting<Model, String?>, default fallback: String, _ summary: String) -> Row
    {
        own(name, syntax, default: fallback, summary) { interpreter, statement, model in
            let word = statement.arguments[0]
            guard !word.text.isEmpty else { return interpreter.error(word, "this is empty; leave the directive out for its default") }
            model[keyPath: path] = word.text
        }
    }

    /// A list of words, each read by itself, by default none.
    static func list(
        _ name: String, _ syntax: String, default fallback: String = "(none)", _ summary: String,
        _ readEach: @escaping @Sendable (inout Interpreter, Word, inout Model) -> Void
    ) -> Row {
        own(name, syntax, arguments: 1...64, default: fallback, isRepeatable: true, summary) { interpreter, statement, model in
            for word in statement.arguments { readEach(&interpreter, word, &model) }
        }
    }

    /// A block without arguments whose directives fill a part of the model.
    static func block<Part: DirectiveModel>(
        _ name: String, _ path: Setting<Model, Part>, default fallback: String, _ summary: String
    ) -> Row {
        own(name, "{ ... }", arguments: 0...0, block: .required, default: fallback, summary) { interpreter, statement, model in
            interpreter.interpret(statement.block, into: &model[keyPath: path])
        }
    }
}
