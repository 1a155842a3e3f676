// A guest written as steps, on the same machine and the same access checks as guest code.
