public import ArgumentParser

/// The `rampart` command.
public struct RampartCommand: ParsableCommand {
    /// Name and summary.
    public static let configuration = CommandConfiguration(
        commandName: "rampart", abstract: "AMD SEV-SNP without the hardware.")
    /// Makes the command; the parser fills it.
    public init() {}
}
