// The folder in which explorations keep where they stand, and the user's wish to stop.

import Exploration
import Monitor
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A folder of states.
struct StateFolder {
    let path: String

    /// Opens a folder, made if need be.
    ///
    /// - Throws: `CommandFailure` if there is none and none can be made
    init(_ path: String, makingIt: Bool = true) throws {
        self.path = path
        if makingIt, unsafe mkdir(path, 0o777) != 0, errno != EEXIST {
            throw CommandFailure.usage("the folder \(path) cannot be made. Give one whose parent exists.")
        }
    }

    /// The state of a scenario's exploration, or nil if there is none yet.
    ///
    /// - Throws: `CommandFailure` for a file that is none
    func load(_ scenario: Scenario, _ settings: ExplorationSettings) throws -> ExplorationState? {
        let fresh = ExplorationState(scenario, settings)
        let file = path + "/" + fresh.fileName
        guard unsafe access(file, F_OK) == 0 else { return nil }
        let state = try read(file)
        guard state.identity == fresh.identity else {
            throw CommandFailure.usage("\(file) is of another exploration. Delete it, or use another folder.")
        }
        return state
    }

    /// Every state in the folder, in order of file names.
    ///
    /// - Throws: `CommandFailure` for a folder or file that cannot be read
    func loadAll() throws -> [ExplorationState] {
        guard let directory = unsafe opendir(path) else {
            throw CommandFailure.usage("the folder \(path) cannot be read.")
        }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            // SAFETY: the entry is the system's until the next call, and its name ends with a zero.
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name.hasSuffix(".exploration") { names.append(name) }
        }
        return try names.sorted().map { try read(path + "/" + $0) }
    }

    /// Keeps a state: the old one or the new one is there at any time, whenever the process is killed.
    ///
    /// - Throws: `CommandFailure` if it cannot be written
    func save(_ state: ExplorationState) throws {
        let file = path + "/" + state.fileName
        do { try writeFile(file + ".new", Array(state.text.utf8)) } catch {
            throw CommandFailure.usage("\(file) cannot be written: \(error)")
        }
        guard unsafe rename(file + ".new", file) == 0 else {
            throw CommandFailure.usage("\(file) cannot be replaced.")
        }
    }

    private func read(_ file: String) throws -> ExplorationState {
        let bytes: [UInt8]
        do { bytes = try readFile(file, limit: 1 << 30) } catch {
            throw CommandFailure.usage("\(file) cannot be read: \(error)")
        }
        guard let state = ExplorationState(String(decoding: bytes, as: UTF8.self)) else {
            throw CommandFailure.usage("\(file) is no state of an exploration. Delete it to start over.")
        }
        return state
    }
}

/// The user's wish to stop: an interrupt asks for a clean end, a second one ends the process.
enum Interruption {
    private static let requested = Atomic<Bool>(false)

    /// Whether an interrupt has come.
    static var isRequested: Bool { requested.load(ordering: .relaxed) }

    /// Takes interrupts from now on.
    static func watch() {
        signal(SIGINT) { _ in
            if Interruption.requested.exchange(true, ordering: .relaxed) { _exit(130) }
        }
    }
}
