// What a harness checks. An optimised `precondition` says neither what was wrong nor where, and the log of a run may be all that is kept.

/// Ends the run with the message and the place, unless the condition holds.
func require(_ condition: Bool, _ message: StaticString, file: StaticString = #fileID, line: UInt = #line) {
    guard condition else { fatalError("\(message)", file: file, line: line) }
}
