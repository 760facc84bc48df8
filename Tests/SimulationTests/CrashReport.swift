// Reports the seed when the proxy, or the world, crashes during a run: a failed precondition ends the process before any test could
// report it.

import Glibc

enum CrashReport {
    nonisolated(unsafe) private static let text = UnsafeMutablePointer<CChar>.allocate(capacity: 64)
    nonisolated(unsafe) private static var isInstalled = false

    /// Runs `body`. If the process crashes in it, the seed goes to standard error.
    static func around<Result>(_ seed: UInt64, _ body: () -> Result) -> Result {
        withVaList([seed]) { _ = vsnprintf(text, 64, "\nHEARTWIRE_SEED=%llu crashed\n", $0) }
        if !isInstalled {
            isInstalled = true
            for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT, SIGBUS] {
                signal(number) { number in
                    _ = write(STDERR_FILENO, CrashReport.text, strlen(CrashReport.text))
                    signal(number, SIG_DFL)
                    raise(number)
                }
            }
        }
        return body()
    }
}
