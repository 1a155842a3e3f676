// The target `files`: guest images, firmware images and scripts. Inputs are the files themselves.

internal import Monitor
internal import ScriptedGuest

/// Whoever reads files of users.
struct FileTarget: FuzzTarget {
    struct NoText: Error {}

    /// Gives the bytes to every reader.
    func run(_ bytes: UnsafeRawBufferPointer, trace: ((String) -> Void)?) -> String? {
        let file = Array(bytes)
        _ = try? GuestImage(recognizing: file)
        _ = try? GuestImage(elf: file)
        _ = try? GuestImage(multiboot: file)
        _ = try? OVMFImage(file)
        _ = try? GuestScript(text: String(decoding: bytes, as: UTF8.self))
        return nil
    }

    func text(_ bytes: UnsafeRawBufferPointer) -> String? { nil }

    func bytes(_ text: String) throws -> [UInt8] { throw NoText() }
}
