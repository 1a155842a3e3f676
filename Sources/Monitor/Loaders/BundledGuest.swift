// The guests that are part of the program: the images of Guests/bin.

internal import CPlatform

/// A bundled guest.
public enum BundledGuest: String, CaseIterable, Sendable {
    /// Gets a GHCB, converts a page, has firmware attest to it. What runs when the user names nothing.
    case hello
    /// Walks memory through every page state.
    case convert
    /// Starts every other virtual CPU.
    case smp
    /// Breaks each rule and expects the specified answer.
    case misbehave
    /// Takes interrupts of every kind.
    case ticks

    /// The ELF file.
    public var bytes: [UInt8] {
        var count = 0
        // SAFETY: each call gives a constant array and stores its length.
        let start =
            switch self {
            case .hello: unsafe cp_guest_hello(&count)
            case .convert: unsafe cp_guest_convert(&count)
            case .smp: unsafe cp_guest_smp(&count)
            case .misbehave: unsafe cp_guest_misbehave(&count)
            case .ticks: unsafe cp_guest_ticks(&count)
            }
        return unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    }

    /// The image, read by the same code as any other.
    public var image: GuestImage {
        do { return try GuestImage(elf: bytes) } catch { preconditionFailure("a bundled guest is malformed: \(error)") }
    }
}
