// A trace as the text that the kernel's function tracer prints for KVM, so that scripts which read that can read this.

extension TraceFile {
    /// The events as ftrace's text, those that a filter allows.
    ///
    /// - Spec: Linux: Documentation/trace/ftrace.rst; the events of kvm_entry and kvm_exit by their documented fields
    /// - Deviates: the process is always rampart with the virtual CPU's number; time is virtual, a nanosecond for each tick
    public func ftrace(_ filter: TraceFilter = TraceFilter()) -> String {
        var text = "# tracer: nop\n#\n#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
        for event in events where filter.allows(event) {
            let vcpu = event.vcpu ?? 0
            let task = event.vcpu.map { "vcpu\($0)-\(1000 + UInt64($0))" } ?? "rampart-999"
            let seconds = event.time / 1_000_000_000
            let fraction = String(event.time % 1_000_000_000)
            text += String(repeating: " ", count: max(0, 16 - task.utf8.count)) + task
            text += " [" + padded(vcpu) + "] ..... \(seconds)."
            text += String(repeating: "0", count: 9 - fraction.utf8.count) + fraction + ": " + Self.words(event) + "\n"
        }
        return text
    }

    private func padded(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits
    }

    private static func words(_ event: TraceEvent) -> String {
        let vcpu = event.vcpu.map(String.init) ?? "-"
        func field(_ name: String) -> String { event[name] ?? "0x0" }
        switch event.name {
        case "entry": return "kvm_entry: vcpu \(vcpu), rip \(field("rip"))"
        case "exit":
            return "kvm_exit: vcpu \(vcpu) reason \(field("reason")) rip \(field("rip")) info1 \(field("info1")) info2 "
                + "\(field("info2")) intr_info 0x0 error_code 0x0"
        case "inject": return "kvm_inj_virq: vector \(field("vector"))"
        case "fault": return "kvm_page_fault: vcpu \(vcpu) address \(field("gpa")) error_code \(field("error"))"
        case "vmgexit":
            return
                "kvm_vmgexit_enter: vcpu \(vcpu), exit_reason \(field("code")), exit_info1 \(field("info1")), exit_info2 "
                + "\(field("info2"))"
        case "reply":
            return "kvm_vmgexit_exit: vcpu \(vcpu), exit_info1 \(field("info1")), exit_info2 \(field("info2"))"
        case "user_exit": return "kvm_userspace_exit: reason \(field("reason"))"
        default:
            return "rampart_\(event.name): " + event.fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        }
    }
}
