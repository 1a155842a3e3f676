// The error numbers that the hypervisor's calls return, with their Linux values.

/// An error number of a system call. An open set.
public struct Errno: RawRepresentable, Error, Hashable, Sendable, CustomStringConvertible {
    /// The positive number.
    public let rawValue: Int32
    /// Makes an error from its number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// EPERM: not permitted.
    public static let notPermitted = Errno(rawValue: 1)
    /// ENOENT: no such thing.
    public static let noEntry = Errno(rawValue: 2)
    /// EINTR: interrupted.
    public static let interrupted = Errno(rawValue: 4)
    /// EIO: the device or firmware failed, or the VM is dead.
    public static let ioError = Errno(rawValue: 5)
    /// ENXIO: no such device or address.
    public static let noSuchAddress = Errno(rawValue: 6)
    /// E2BIG: a list is too long.
    public static let argumentsTooLong = Errno(rawValue: 7)
    /// EBADF: not an open file of this kind.
    public static let badFile = Errno(rawValue: 9)
    /// EAGAIN: try again.
    public static let again = Errno(rawValue: 11)
    /// ENOMEM: out of memory.
    public static let noMemory = Errno(rawValue: 12)
    /// EFAULT: bad address.
    public static let badAddress = Errno(rawValue: 14)
    /// EBUSY: in use.
    public static let busy = Errno(rawValue: 16)
    /// EEXIST: exists already.
    public static let exists = Errno(rawValue: 17)
    /// ENODEV: no such device.
    public static let noDevice = Errno(rawValue: 19)
    /// EINVAL: an invalid argument.
    public static let invalidArgument = Errno(rawValue: 22)
    /// ENOTTY: not a call of this object.
    public static let notSupportedCall = Errno(rawValue: 25)
    /// ENOSPC: no space left.
    public static let noSpace = Errno(rawValue: 28)
    /// ENOSYS: not implemented.
    public static let notImplemented = Errno(rawValue: 38)
    /// EOPNOTSUPP: not supported.
    public static let notSupported = Errno(rawValue: 95)
    /// ETIMEDOUT: timed out.
    public static let timedOut = Errno(rawValue: 110)
    /// EHWPOISON: the page has a hardware error.
    public static let hardwarePoison = Errno(rawValue: 133)

    private static let names: [Int32: String] = [
        1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 11: "EAGAIN", 12: "ENOMEM",
        14: "EFAULT",
        16: "EBUSY",
        17: "EEXIST", 19: "ENODEV", 22: "EINVAL", 25: "ENOTTY", 28: "ENOSPC", 38: "ENOSYS", 95: "EOPNOTSUPP",
        110: "ETIMEDOUT",
        133: "EHWPOISON",
    ]

    /// The C name.
    public var description: String { Self.names[rawValue] ?? "errno \(rawValue)" }
}
