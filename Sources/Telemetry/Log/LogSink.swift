// The destination of log lines. The writer knows only this protocol; files and descriptors belong to its implementations.

/// The end of the log: a file, a pipe, or a test's memory. Called from the writer's own thread only.
package protocol LogSink: Sendable {
    /// Writes all of the bytes, which are whole lines, and may block. False means that they were not all written; the writer keeps them
    /// and offers them again. A sink that wrote a part of them must remember how much: the same bytes are offered again, and newer ones
    /// only after these have been taken.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool

    /// Reopens the destination after its file was moved away; called between whole lines. False means that it could not be opened; the
    /// sink then keeps its old destination. After a success, bytes of which the old destination took a part are written whole to the
    /// new one, so that it begins with a whole line.
    func reopen() -> Bool

    /// Called now and then while there are no lines, at least every minute.
    func timePassed()
}

extension LogSink {
    /// Does nothing.
    package func timePassed() {}
}
