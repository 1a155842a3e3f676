// Ctrl-A and a key: how a user at a guest's console speaks to the program instead of the guest.

/// Takes a user's keys apart.
struct EscapeKeys {
    /// What the keys mean.
    enum Meaning: Hashable {
        /// Bytes for the guest; may be none.
        case bytes([UInt8])
        /// End the guest.
        case quit
        /// Say what keys there are; the bytes before and after are the guest's.
        case help([UInt8])
    }

    static let escape: UInt8 = 0x01
    static let helpText = """
        Ctrl-A x       end the guest
        Ctrl-A c, h    show this
        Ctrl-A Ctrl-A  send Ctrl-A

        """

    private var isEscaped = false

    /// Takes the next keys. What is behind a wish to end is lost, as is a key that means nothing behind Ctrl-A.
    mutating func take(_ keys: [UInt8]) -> Meaning {
        var bytes: [UInt8] = []
        var asksForHelp = false
        for key in keys {
            guard isEscaped else {
                if key == Self.escape { isEscaped = true } else { bytes.append(key) }
                continue
            }
            isEscaped = false
            switch key {
            case UInt8(ascii: "x"): return .quit
            case UInt8(ascii: "c"), UInt8(ascii: "h"): asksForHelp = true
            case Self.escape: bytes.append(key)
            default: break
            }
        }
        return asksForHelp ? .help(bytes) : .bytes(bytes)
    }
}
