// Tests of ScriptedGuest.
