// The version of the program and library.

/// What this build is.
public enum RampartVersion {
    /// The version, as `rampart --version` prints it.
    public static let string = "0.1.0"
}
