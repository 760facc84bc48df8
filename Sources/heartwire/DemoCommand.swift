// `heartwire demo`.

import Configuration
import Reactor

enum DemoCommand {
    static func run(_ listener: Listener) {
        Main.fail("the demo is not built in", status: ExitStatus.unavailable)
    }
}
