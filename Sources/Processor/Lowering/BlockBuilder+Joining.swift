// What makes a block's operations fewer and cheaper and is not part of any one instruction: moves joined with the operation
// behind them, and flags that nobody will see.

internal import ProcessorCore

extension BlockBuilder {
    /// Whether an operation on registers alone has its first operand in `base`.
    static func hasFirstOperand(_ code: UInt16) -> Bool {
        switch code {
        case OperationCode.binary(kind: 0, size: 0, form: 0)..<OperationCode.unary(kind: 0, size: 0, form: 0):
            (code - OperationCode.binary(kind: 0, size: 0, form: 0)) % 5 < 2
        case OperationCode.unary(kind: 0, size: 0, form: 0)..<OperationCode.move(size: 0, form: 0):
            (code - OperationCode.unary(kind: 0, size: 0, form: 0)) % 2 == 0
        case OperationCode.shiftKnown(kind: 0, size: 0)...OperationCode.shiftKnown(kind: 4, size: 1): true
        default: false
        }
    }

    /// The size of the operands, 2 for 32 and 3 for 64 bits, if the operation writes its destination and nothing of it
    /// depends on who wrote the first operand.
    private static func joinedSize(_ code: UInt16) -> Int? {
        guard hasFirstOperand(code) else { return nil }
        let firstShift = OperationCode.shiftKnown(kind: 0, size: 0)
        if code >= firstShift { return 2 + Int(code - firstShift) % 2 }
        let firstUnary = OperationCode.unary(kind: 0, size: 0, form: 0)
        if code >= firstUnary { return Int(code - firstUnary) / 2 % 4 }
        // CMP and TEST leave the destination as the move wrote it.
        guard code < OperationCode.binary(kind: 7, size: 0, form: 0) else { return nil }
        return Int(code - OperationCode.binary(kind: 0, size: 0, form: 0)) / 5 % 4
    }

    /// Joins a move between registers with the operation behind it on the same destination: `mov eax, ecx; ror eax, 7` is
    /// one operation with three operands. Neither can leave the core, so nobody sees the state between them.
    mutating func joinMove() {
        guard operations.count >= 2 else { return }
        let move = operations[operations.count - 2]
        var joined = operations[operations.count - 1]
        guard let size = Self.joinedSize(joined.code), size >= 2 else { return }
        guard move.code == OperationCode.move(size: size, form: 0) else { return }
        guard joined.ordinal == move.ordinal &+ 1 else { return }
        guard joined.base == move.destination, joined.destination == move.destination else { return }
        joined.base = move.source
        joined.start = move.start
        // The second operand, where the operation has one, may be the destination too.
        if joined.source == move.destination { joined.source = move.source }
        replaceLast(2, with: joined)
    }

    /// Gives up computing flags that a later operation of the block replaces before anybody can see them. Whatever may leave
    /// the core sees them: what reaches memory, branches, and what the run loop executes.
    mutating func dropDeadFlags() {
        var areSeen = true
        for index in operations.indices.reversed() {
            let code = Int(operations[index].code)
            if !areSeen, quietOperations[code] != 0 { change(index, to: quietOperations[code]) }
            switch operationFlags[Int(operations[index].code)] {
            case 0: break
            case 1: areSeen = false
            default: areSeen = true
            }
        }
    }
}
