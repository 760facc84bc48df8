// Operating system threads: a worker keeps its thread for life and sleeps in the kernel.

import CLinux
import Glibc

/// Starts threads.
public enum SystemThread {
    private final class Body {
        let name: String
        let run: () -> Void
        init(name: String, run: @escaping () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// A thread that was started.
    public struct Handle: Sendable {
        let thread: pthread_t

        /// Waits for its end.
        public func join() { pthread_join(thread, nil) }
    }

    /// Runs `body` on a new thread with that name. For the start, when a thread is always available.
    @discardableResult
    public static func start(name: String, _ body: @escaping @Sendable () -> Void) -> Handle {
        guard let handle = try? tryStart(name: name, body) else { preconditionFailure("a thread can be had at the start") }
        return handle
    }

    /// Runs `body` on a new thread with that name (the system shows 15 bytes). Throws if the system has no thread left.
    @discardableResult
    public static func tryStart(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) -> Handle {
        let context = Unmanaged.passRetained(Body(name: name, run: body)).toOpaque()
        var thread = pthread_t()
        let outcome = pthread_create(
            &thread, nil,
            { context in
                let body = Unmanaged<Body>.fromOpaque(context!).takeRetainedValue()
                _ = CLinux.pthread_setname_np(UInt(pthread_self()), String(body.name.prefix(15)))
                body.run()
                return nil
            }, context)
        guard outcome == 0 else {
            Unmanaged<Body>.fromOpaque(context).release()
            throw SystemError(outcome)
        }
        return Handle(thread: thread)
    }
}
