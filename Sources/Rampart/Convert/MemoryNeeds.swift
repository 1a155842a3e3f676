// How much of this computer's memory a run of conversions will touch: refused beforehand when there is not so much, since
// the system would end the process in the middle otherwise.

import Monitor
import SNPArchitecture

extension ConvertRequest {
    /// About how many bytes the RMP, the nested tables and the book-keeping of the pages to be converted will take.
    ///
    /// The RMP entries of two 2 MiB pages lie 8 KiB apart, so that each touches a page of the table.
    var touchedByteCount: UInt64 {
        let memoryPages = memory.byteCount >> 12
        let asked = list.map { list in
            list.steps.filter { $0.target == .private }.reduce(0) { $0 + UInt64($1.frames.count) }
        }
        let pages = min(asked ?? memoryPages, memoryPages)
        let backing = folioOrder >= 9 ? memoryPages >> 9 * 8 : memoryPages * 8
        return backing + (folioOrder >= 9 ? pages >> 9 * 4160 : pages * 40)
    }

    /// Refuses what this computer cannot hold.
    ///
    /// - Throws: `InputError` when the run would take more than nine tenths of the memory that is available
    func checkMemory() throws(InputError) {
        guard let available = Self.availableByteCount, touchedByteCount > available / 10 * 9 else { return }
        throw InputError(
            "converting \(memory) touches about \(touchedByteCount >> 20) MiB of this computer's memory, and "
                + "\(available >> 20) MiB are available. Give less --memory, or a --plan that converts less.")
    }

    /// What the system says a new program may use without swapping, or nil if it does not say.
    private static var availableByteCount: UInt64? {
        guard let bytes = try? readFile("/proc/meminfo", limit: 1 << 16),
            let text = String(validating: bytes, as: UTF8.self),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let number = line.split(separator: " ").dropFirst().first, let kibibytes = UInt64(number)
        else { return nil }
        return kibibytes << 10
    }
}
