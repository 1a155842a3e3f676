// What `rampart measure` is asked: files and numbers, turned into a launch plan. The digest comes from running the plan.

public import Monitor

/// A measurement of a guest's launch.
public struct MeasureRequest: Sendable {
    /// What is measured.
    public enum Scope: Hashable, Sendable {
        /// The whole launch of a guest.
        case guest
        /// The firmware image's pages only.
        case imageOnly
    }

    /// What is measured.
    public var scope: Scope
    /// The firmware image.
    public var imagePath: String
    /// The kernel that the VMM loads directly, if any.
    public var kernelPath: String?
    /// The kernel's initial RAM disk.
    public var initrdPath: String?
    /// The kernel's command line.
    public var commandLine: String?
    /// Everything else; its `kernelHashes` is filled in from the paths.
    public var configuration: LaunchConfiguration

    /// Makes a request.
    public init(
        scope: Scope = .guest, imagePath: String, kernelPath: String? = nil, initrdPath: String? = nil,
        commandLine: String? = nil, configuration: LaunchConfiguration
    ) {
        self.scope = scope
        self.imagePath = imagePath
        self.kernelPath = kernelPath
        self.initrdPath = initrdPath
        self.commandLine = commandLine
        self.configuration = configuration
    }

    /// Reads the files and plans the launch.
    ///
    /// - Throws: in check order: `FileError` for the image; `OVMFError`; `FileError` for kernel and initial RAM disk;
    ///   `LaunchPlanError`
    public func plan() throws(InputError) -> LaunchPlan {
        let image: OVMFImage
        do {
            image = try OVMFImage.load(imagePath)
        } catch let error as FileError {
            throw InputError(error.description)
        } catch {
            throw InputError("\(imagePath): \(error)")
        }
        if scope == .imageOnly { return LaunchPlan(imageOnly: image) }
        var configuration = configuration
        if let kernelPath {
            do throws(FileError) {
                configuration.kernelHashes = try KernelHashes(
                    kernelPath: kernelPath, initrdPath: initrdPath, commandLine: commandLine)
            } catch {
                throw InputError(error.description)
            }
        }
        do throws(LaunchPlanError) {
            return try LaunchPlan(image: image, configuration: configuration)
        } catch .image(let error) {
            throw InputError("\(imagePath): \(error)")
        } catch {
            throw InputError(error.description)
        }
    }
}

/// A file or a number that cannot be used: what was wrong, where, and what to do.
public struct InputError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line for the user.
    public let description: String
    /// Makes an error.
    public init(_ description: String) { self.description = description }
}
