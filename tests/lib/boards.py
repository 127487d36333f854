# SPDX-License-Identifier: MIT
"""Machines as their files under /sys, /proc and /dev show them: boards, laptops and servers, put
together by hand from what the kernel's drivers are known to write. Each is {path: text}."""


def _hwmon(number, name, **files):
    base = f"sys/class/hwmon/hwmon{number}/"
    return {base + "name": name,
            **{base + key.replace("__", "/"): text for key, text in files.items()}}


def _gpu(number, name, slot, **files):
    return _hwmon(number, name, device__uevent=f"DRIVER={name.split('_')[0]}\nPCI_SLOT_NAME={slot}",
                  device__power__runtime_status="active", **files)


def _old_ina(chip, *rails):
    """The driver of JetPack 4: milliwatts."""
    files = {}
    for i, (name, mv, ma) in enumerate(rails):
        base = f"sys/bus/i2c/drivers/ina3221x/{chip}/iio:device{int(chip[-1])}/"
        files.update({base + f"rail_name_{i}": name,
                      base + f"in_voltage{i}_input": mv, base + f"in_current{i}_input": ma,
                      base + f"in_power{i}_input": mv * ma // 1000,
                      base + f"crit_current_limit_{i}": "32760 ma"})
    return files


def _new_ina(chip, number, *rails):
    """The kernel's own: millivolts and milliamperes; None is a channel that is switched off."""
    base = f"sys/bus/i2c/drivers/ina3221/{chip}/hwmon/hwmon{number}/"
    files = {base + "name": "ina3221", base + "in7_label": "sum of shunt voltages",
             base + "in7_input": 1360, base + "curr4_input": 680,
             f"sys/class/hwmon/hwmon{number}/name": "ina3221"}
    for i, rail in enumerate(rails, 1):
        name, mv, ma = rail or ("NC", 0, 0)
        files.update({base + f"in{i}_label": name, base + f"in{i}_enable": 1 if rail else 0,
                      base + f"in{i}_input": mv, base + f"curr{i}_input": ma,
                      base + f"in{i + 3}_input": ma * 2})
    return files


def _rapl(*zones):
    files = {}
    for directory, name, energy_uj in zones:
        base = f"sys/class/powercap/{directory}/"
        files.update({base + "name": name, base + "energy_uj": energy_uj,
                      base + "max_energy_range_uj": 262143328850})
    return files


def _supply(name, **files):
    return {f"sys/class/power_supply/{name}/{key}": text for key, text in files.items()}


def _model(text):
    return {"proc/device-tree/model": text + "\0"}


_INTEL = {"proc/cpuinfo": "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\n"}
_AMD = {"proc/cpuinfo": "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 80\n"}
_ARM = {"proc/cpuinfo": "CPU implementer\t: 0x41\nCPU part\t: 0xd42\n"}

_PMIC_5 = """\
 3V7_WL_SW_A current(0)=0.00200000A
   3V3_SYS_A current(1)=0.12600000A
   1V8_SYS_A current(2)=0.18800000A
  DDR_VDD2_A current(3)=0.02100000A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.18000000A
    0V8_SW_A current(6)=0.26000000A
  VDD_CORE_A current(7)=0.56000000A
   3V3_DAC_A current(17)=0.00000000A
   3V3_ADC_A current(18)=0.00000000A
   0V8_AON_A current(16)=0.00300000A
      HDMI_A current(22)=0.02600000A
 3V7_WL_SW_V volt(8)=3.70000000V
   3V3_SYS_V volt(9)=3.32000000V
   1V8_SYS_V volt(10)=1.80000000V
  DDR_VDD2_V volt(11)=1.11000000V
  DDR_VDDQ_V volt(12)=0.60000000V
   1V1_SYS_V volt(13)=1.11000000V
    0V8_SW_V volt(14)=0.80000000V
  VDD_CORE_V volt(15)=0.77000000V
   3V3_DAC_V volt(20)=3.32000000V
   3V3_ADC_V volt(21)=3.33000000V
   0V8_AON_V volt(19)=0.80000000V
      HDMI_V volt(23)=5.11000000V
     EXT5V_V volt(24)=5.14000000V
      BATT_V volt(25)=3.28000000V"""


BOARDS = {
    "jetson-nano": {
        **_ARM, **_model("NVIDIA Jetson Nano Developer Kit"),
        **_old_ina("6-0040", ("POM_5V_IN", 5000, 420), ("POM_5V_GPU", 5000, 8),
                   ("POM_5V_CPU", 5000, 90))},
    "jetson-tx2": {
        **_ARM, **_model("quill"),
        **_old_ina("0-0040", ("VDD_SYS_GPU", 19152, 8), ("VDD_SYS_SOC", 19152, 20),
                   ("VDD_4V0_WIFI", 4792, 4)),
        **_old_ina("0-0041", ("VDD_IN", 19144, 110), ("VDD_SYS_CPU", 19152, 12),
                   ("VDD_SYS_DDR", 4824, 60)),
        **_old_ina("0-0042", ("VDD_MUX", 19152, 200), ("VDD_5V0_IO_SYS", 5000, 300),
                   ("VDD_3V3_SYS", 3300, 100))},
    "jetson-xavier-nx": {
        **_ARM, **_model("NVIDIA Jetson Xavier NX Developer Kit"),
        **_old_ina("7-0040", ("VDD_IN", 4968, 620), ("VDD_CPU_GPU_CV", 4968, 100),
                   ("VDD_SOC", 4968, 190))},
    "jetson-agx-xavier": {
        **_ARM, **_model("Jetson-AGX"),
        **_new_ina("1-0040", 2, ("GPU", 19096, 24), ("CPU", 19096, 32), ("SOC", 19096, 64)),
        **_new_ina("1-0041", 3, ("CV", 19096, 0), ("VDDRQ", 19096, 24), ("SYS5V", 19096, 104))},
    "jetson-orin-nano": {
        **_ARM, **_model("NVIDIA Jetson Orin Nano Developer Kit"),
        **_new_ina("1-0040", 1, ("VDD_IN", 4976, 960), ("VDD_CPU_GPU_CV", 4976, 120),
                   ("VDD_SOC", 4968, 304))},
    "jetson-agx-orin": {
        **_ARM, **_model("NVIDIA Jetson AGX Orin Developer Kit"),
        **_new_ina("1-0040", 3, ("VDD_GPU_SOC", 19128, 160), ("VDD_CPU_CV", 19128, 20),
                   ("VIN_SYS_5V0", 5024, 680)),
        **_new_ina("1-0041", 4, None, ("VDDQ_VDD2_1V8AO", 5024, 140), None)},
    "jetson-agx-thor": {
        **_ARM, **_model("NVIDIA Jetson AGX Thor Developer Kit"),
        **_new_ina("2-0040", 2, ("VDD_GPU", 5000, -78), ("VDD_CPU_SOC_MSS", 12000, 500),
                   ("VIN_SYS_5V0", 5000, 1000)),
        "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon3/in1_label": "VIN",
        "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon3/power1_input": 24500000,
        **_hwmon(3, "ina238", in1_label="VIN", power1_input=24500000)},
    "jetson-nano-2gb": {**_ARM, **_model("NVIDIA Jetson Nano 2GB Developer Kit")},
    "raspberry-pi-5": {
        **_ARM, **_model("Raspberry Pi 5 Model B Rev 1.0"), "dev/vcio": _PMIC_5,
        **_hwmon(0, "cpu_thermal", temp1_input=45000),
        **_hwmon(2, "rpi_volt", in0_lcrit_alarm=0)},
    "raspberry-pi-4": {
        **_ARM, **_model("Raspberry Pi 4 Model B Rev 1.4"),
        "dev/vcio": 'error=1 error_msg="Command not registered"'},
    "laptop-intel-unplugged": {
        **_INTEL,
        **_rapl(("intel-rapl:0", "package-0", 61035), ("intel-rapl:0:0", "core", 61035),
                ("intel-rapl:0:1", "uncore", 61035), ("intel-rapl:1", "psys", 61035)),
        **_hwmon(0, "acpitz", temp1_input=40000),
        **_supply("AC", type="Mains", online=0),
        **_supply("BAT0", type="Battery", present=1, status="Discharging", power_now=9300000)},
    "laptop-amd-unplugged": {
        **_AMD,
        **_gpu(4, "amdgpu", "0000:05:00.0", in0_label="vddgfx", in1_label="vddnb",
               power1_label="PPT", power1_average=6012000),
        **_supply("ACAD", type="Mains", online=0),
        **_supply("BAT1", type="Battery", present=1, status="Discharging",
                  current_now=791000, voltage_now=15440000),
        **_supply("hidpp_battery_0", type="Battery", scope="Device", status="Discharging")},
    "laptop-charging": {
        **_AMD,
        **_supply("ACAD", type="Mains", online=1),
        **_supply("BAT1", type="Battery", present=1, status="Charging", power_now=30000000)},
    "desktop-two-gpus": {
        **_AMD, **_rapl(("intel-rapl:0", "package-0", 61035), ("intel-rapl:0:0", "core", 61035)),
        **_gpu(1, "amdgpu", "0000:0b:00.0", power1_label="PPT", power1_average=98000000,
               power1_cap=300000000),
        **_gpu(2, "xe", "0000:07:00.0", energy1_input=812345678, energy1_label="card",
               energy2_input=712345678, energy2_label="pkg", power1_cap=190000000),
        **_hwmon(3, "corsairpsu", power1_input=212000000, power1_label="power total",
                 power2_input=150000000, power2_label="power +12v")},
    "server-intel-gpus": {
        **_INTEL, **_gpu(3, "i915", "0000:3a:00.0", energy1_input=5000000, power1_max=300000000),
        **_gpu(4, "i915_gt0", "0000:3a:00.0", energy1_input=4000000),
        **_gpu(5, "i915", "0000:9a:00.0", energy1_input=5000000)},
    "server-acpi-meter": {
        **_INTEL, **_hwmon(1, "power_meter", device__power1_average=312000000,
                           device__power1_average_interval=1000, device__power1_is_battery=0)},
    "server-acpi-meter-blind": {
        **_INTEL, **_hwmon(1, "power_meter", device__power1_average=4294967295000)},
    "server-epyc-amd-energy": {
        **_AMD, **_hwmon(2, "amd_energy", energy1_input=1, energy1_label="Ecore000",
                         energy2_input=1, energy2_label="Ecore001", energy3_input=1,
                         energy3_label="Esocket0")},
    "grace-hopper": {
        **_ARM,
        **{path: text for i, (name, uw) in enumerate([
            ("Module Power Socket 0", 412000000), ("Grace Power Socket 0", 152000000),
            ("CPU Power Socket 0", 98000000), ("SysIO Power Socket 0", 21000000)])
           for path, text in _hwmon(i, "power_meter", device__power1_average=uw,
                                    device__power1_average_interval=50,
                                    device__power1_oem_info=name).items()}},
    "apple-m1": {
        **_ARM, **_hwmon(5, "macsmc_hwmon", power1_label="Total System Power",
                         power1_input=7300000, power2_label="AC Input Power",
                         power2_input=9100000, power3_label="3.8 V Rail Power",
                         power3_input=1500000)},
    "scmi-board": {
        **_ARM, **_hwmon(0, "scmi_sensors", energy1_label="BIG_CPU", energy1_input=77000,
                         power1_label="BIG_CPU", power1_input=1500000, power2_label="GPU",
                         power2_input=300000, power3_label="SYS", power3_input=800000)},
    "fpga-board": {
        **_ARM, **_hwmon(0, "ina226_u76", power1_input=2525000, in1_input=850),
        **_hwmon(1, "ina226_u77", power1_input=125000)},
    "nothing": {**_INTEL},
}


def put(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root
