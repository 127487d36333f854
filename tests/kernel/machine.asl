// SPDX-License-Identifier: MIT
// A power meter at the machine's input, a battery and a charger, for the kernel's own drivers. What they
// show stands in a page of memory that the kernel leaves alone (memmap=) and that a script writes: see
// power_set() in functions.
DefinitionBlock ("", "SSDT", 2, "POWERM", "LAB", 1)
{
    Scope (\_SB)
    {
        OperationRegion (PAGE, SystemMemory, 0x10000000, 0x1000)
        Field (PAGE, DWordAcc, NoLock, Preserve)
        {
            ONLN, 32,   // the charger: 1 while it is plugged in
            STAT, 32,   // the battery: 1 discharging, 2 charging, 0 full
            RATE, 32,   // its power, mW
            LEFT, 32,   // its charge, mWh
            INPT, 32,   // the meter, mW
            GAIN, 32    // the meter's averaging interval, ms
        }

        Device (MTR0)
        {
            Name (_HID, "ACPI000D")
            Name (_UID, 1)
            Method (_STA) { Return (0x0F) }
            Method (_PMC)
            {
                Return (Package () {
                    0x00000001,     // measures
                    0,              // in mW
                    0,              // the input
                    98000,          // to 2 %
                    100,            // samples every 100 ms
                    100, 30000,     // averages over 0.1 to 30 s
                    0, 0,
                    0, 0,
                    "Lab meter", "1", "Lab" })
            }
            Method (_PMD) { Return (Package () { \_SB }) }
            Method (_PMM) { Return (INPT) }
            Method (_GAI) { Return (GAIN) }
            Method (_PAI, 1)
            {
                GAIN = Arg0
                Return (0)
            }
        }

        Device (BAT0)
        {
            Name (_HID, EisaId ("PNP0C0A"))
            Name (_UID, 1)
            Method (_STA) { Return (0x1F) }
            Method (_BIF)
            {
                Return (Package () {
                    0, 50000, 48000, 1, 11400, 5000, 2000, 10, 10,
                    "Lab battery", "1", "LION", "Lab" })
            }
            Method (_BST) { Return (Package () { STAT, RATE, LEFT, 11400 }) }
            Method (_PCL) { Return (Package () { \_SB }) }
        }

        Device (ADP0)
        {
            Name (_HID, "ACPI0003")
            Name (_UID, 1)
            Method (_STA) { Return (0x0F) }
            Method (_PSR) { Return (ONLN) }
            Method (_PCL) { Return (Package () { \_SB }) }
        }
    }
}
