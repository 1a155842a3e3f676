// What happened in one run: which thread went on where, and what it changed.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import Scheduling

/// One thing that happened in a run.
public struct TimelineEvent: Hashable, Sendable {
    /// The schedule points reached before it.
    public var step: Int
    /// The thread.
    public var thread: String
    /// What it did.
    public var text: String
}

/// Watches a run and writes down switches of threads and changes of pages.
final class TimelineRecorder {
    private(set) var events: [TimelineEvent] = []
    private var pages: [[PageView]] = []
    private var lastThread = -1
    private var lastChange: UInt64 = .max

    /// What can be seen of one page.
    private struct PageView: Hashable {
        var isPrivate = false
        var entry = ""
        var mapping = ""
    }

    /// Looks at the world after a segment of the running thread.
    func observe(_ world: World, _ explorer: Explorer, _ point: SchedulePoint?) {
        let names = explorer.threadNames
        let thread = explorer.currentThread
        if thread >= 0, thread != lastThread {
            events.append(TimelineEvent(step: explorer.steps, thread: names[thread], text: "runs"))
            lastThread = thread
        }
        guard world.log.changeCount != lastChange else { return }
        lastChange = world.log.changeCount
        let now = world.guests.map { guest in (0..<min(guest.pageCount, 2048)).map { view(of: guest, $0, world) } }
        if !pages.isEmpty {
            for (number, guest) in now.enumerated() where number < pages.count {
                compare(pages[number], guest, world.guests.count > 1 ? "guest \(number) " : "") {
                    events.append(
                        TimelineEvent(step: explorer.steps, thread: thread < 0 ? "" : names[thread], text: $0))
                }
            }
        }
        pages = now
    }

    private func view(of guest: Guest, _ page: UInt64, _ world: World) -> PageView {
        var view = PageView()
        view.isPrivate = guest.vm.attribute(of: guest.gfn(page)) == .private
        if let pfn = guest.pfn(page) {
            view.entry = world.machine.rmp.effectiveEntry(pfn)?.timelineWords ?? ""
        }
        if let mapping = guest.vm.nested.mapping(of: guest.gfn(page)) {
            view.mapping = mapping.pfn == guest.pfn(page) ? "its private frame" : "a shared frame"
            view.mapping += " (\(mapping.level))"
        }
        return view
    }

    /// Names runs of pages that changed alike.
    private func compare(_ old: [PageView], _ new: [PageView], _ prefix: String, _ add: (String) -> Void) {
        var start = 0
        while start < new.count {
            guard old[start] != new[start] else {
                start += 1
                continue
            }
            var end = start + 1
            while end < new.count, old[end] == old[start], new[end] == new[start] { end += 1 }
            let which = prefix + (end - start == 1 ? "page \(start)" : "pages \(start) to \(end - 1)")
            if old[start].isPrivate != new[start].isPrivate {
                add("\(which): the attribute is \(new[start].isPrivate ? "private" : "shared") now")
            }
            if old[start].entry != new[start].entry {
                add("\(which): the RMP says \(new[start].entry.isEmpty ? "nothing: not backed" : new[start].entry)")
            }
            if old[start].mapping != new[start].mapping {
                add("\(which): \(new[start].mapping.isEmpty ? "no longer mapped" : "mapped to \(new[start].mapping)")")
            }
            start = end
        }
    }
}

extension RMPEntry {
    /// The entry in words, the same for each page of a run.
    fileprivate var timelineWords: String {
        guard assigned else { return "the hypervisor's" }
        guard asid != .host else { return "the firmware's" }
        return "\(pageSize) of ASID \(asid)\(validated ? ", validated" : "")\(immutable ? ", immutable" : "")"
    }
}
