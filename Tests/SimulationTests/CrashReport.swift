// Says which seed it was when the proxy, or the world, dies of a run: a precondition that fails ends the process before any test
// could tell.

import Glibc

enum CrashReport {
    nonisolated(unsafe) private static let text = UnsafeMutablePointer<CChar>.allocate(capacity: 64)
    nonisolated(unsafe) private static var isInstalled = false

    /// Runs `body`; should the process die meanwhile, standard error is told of the seed.
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
