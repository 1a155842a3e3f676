// Real threads, for the free driver: the counterpart of an explored run.

import Glibc

/// Runs bodies at the same time on real threads.
public enum FreeThreads {
    /// Runs each body on a thread of its own and returns when all have ended.
    public static func run(_ bodies: [@Sendable () -> Void]) {
        let threads = bodies.map { body in
            var thread = pthread_t()
            let box = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
            let status = unsafe pthread_create(
                &thread, nil,
                { argument in
                    guard let argument = unsafe argument else { return nil }
                    unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                }, box)
            precondition(status == 0, "the system refuses a thread")
            return thread
        }
        for thread in threads { pthread_join(thread, nil) }
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
