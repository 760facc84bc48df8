// Where log lines go in the end. The writer knows only this; files and descriptors belong to whoever implements it.

/// The end of the log: a file, a pipe, or a test's memory. Called from the writer's own thread only.
package protocol LogSink: Sendable {
    /// Writes all of the bytes, which are whole lines, and may block. False says that they were not written; the
    /// writer keeps them and offers them again. A sink that wrote a part of them must remember how much, because it
    /// is offered the same bytes again, followed by newer ones at most after these have been taken.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool

    /// Opens the destination anew, after its file was moved away; called between whole lines. False says that it could
    /// not be opened; the sink then goes on with what it has. After a success, bytes of which the old destination took
    /// a part are written whole to the new one, so that it begins with a whole line.
    func reopen() -> Bool
}
