// The words that `rampart launch` and `rampart convert` accept as values.

import ArgumentParser
import Rampart
import SNPArchitecture

extension ByteSize {
    init(argument: String) throws {
        do throws(ParseError) {
            self = try ByteSize(parsing: argument)
        } catch {
            throw CommandFailure.usage(error.description)
        }
    }
}

extension PolicyName {
    init(argument: String) throws {
        guard let policy = PolicyName(rawValue: argument) else {
            throw CommandFailure.usage("the policy is unknown. Use eager, lazy or asPosted.")
        }
        self = policy
    }
}

extension PageSize {
    init(argument: String) throws {
        guard let size = Self.allCases.first(where: { $0.description == argument.uppercased() }) else {
            throw CommandFailure.usage("the page size is unknown. Use 4K or 2M.")
        }
        self = size
    }
}

/// Refuses a guest's memory that is no whole number of pages, or more than a host can have.
///
/// - Throws: `CommandFailure`, in check order: zero, not whole pages, too large
func checkMemory(_ memory: ByteSize, multipleOf size: PageSize) throws {
    guard memory.byteCount > 0 else { throw CommandFailure.usage("--memory is 0. Give at least \(size).") }
    guard memory.byteCount % size.byteCount == 0 else {
        throw CommandFailure.usage("--memory \(memory) is not a multiple of \(size). Round it up.")
    }
    guard memory.byteCount <= 16 << 40 else {
        throw CommandFailure.usage("--memory \(memory) is more than a host can have. Use at most 16T.")
    }
}
