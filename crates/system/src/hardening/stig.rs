//! Rules of the Security Technical Implementation Guide for Ubuntu 22.04, V2R8
//! (<https://www.cyber.mil/stigs/downloads/>), as far as files and kernel
//! arguments follow them on any system with systemd. The numbers are the guide's.

use super::Rule;

pub(super) const GUIDE: &str = "Canonical Ubuntu 22.04 LTS STIG, V2R8";

const NONE: Rule = Rule {
    id: "",
    about: "",
    files: &[],
    links: &[],
    cmdline: &[],
};

/// What a masked unit is a link to (systemd.unit(5)).
const MASK: &str = "/dev/null";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "UBTU-22-211015",
        about: "Ctrl-Alt-Del does not restart the machine",
        files: &[(
            "etc/systemd/system.conf.d/55-stig-ctrl-alt-del.conf",
            "# UBTU-22-211015: nor does pressing it several times.\n[Manager]\nCtrlAltDelBurstAction=none\n",
        )],
        links: &[("etc/systemd/system/ctrl-alt-del.target", MASK)],
        ..NONE
    },
    Rule {
        id: "UBTU-22-212015",
        about: "audit records begin with the kernel",
        cmdline: &["audit=1"],
        ..NONE
    },
    Rule {
        id: "UBTU-22-213010",
        about: "the kernel's messages are for root alone",
        files: &[(
            "etc/sysctl.d/60-stig-dmesg.conf",
            "# UBTU-22-213010\nkernel.dmesg_restrict = 1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-213015",
        about: "no dumps of a crashed kernel",
        links: &[
            ("etc/systemd/system/kdump.service", MASK),
            ("etc/systemd/system/kdump-tools.service", MASK),
        ],
        ..NONE
    },
    Rule {
        id: "UBTU-22-213020",
        about: "addresses of programs are random",
        files: &[(
            "etc/sysctl.d/60-stig-aslr.conf",
            "# UBTU-22-213020\nkernel.randomize_va_space = 2\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-253010",
        about: "TCP answers a flood of SYNs with cookies",
        files: &[(
            "etc/sysctl.d/60-stig-syncookies.conf",
            "# UBTU-22-253010\nnet.ipv4.tcp_syncookies = 1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255025",
        about: "no login by SSH without a password or key, no environment of the user's",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-logins.conf",
            "# UBTU-22-255025\nPermitEmptyPasswords no\nPermitUserEnvironment no\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255030",
        about: "an SSH session ends when its client does not answer once",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-alive-count.conf",
            "# UBTU-22-255030\nClientAliveCountMax 1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255035",
        about: "an SSH client is asked whether it is there after ten minutes",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-alive-interval.conf",
            "# UBTU-22-255035\nClientAliveInterval 600\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255040",
        about: "no X11 through SSH",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-x11.conf",
            "# UBTU-22-255040\nX11Forwarding no\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255045",
        about: "a forwarded X11 display is for this machine alone",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-x11-local.conf",
            "# UBTU-22-255045\nX11UseLocalhost yes\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255050",
        about: "SSH takes ciphers that FIPS 140-3 knows",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-ciphers.conf",
            "# UBTU-22-255050\nCiphers aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255055",
        about: "SSH takes message authentication that FIPS 140-3 knows",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-macs.conf",
            "# UBTU-22-255055\nMACs hmac-sha2-512,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-256-etm@openssh.com\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255060",
        about: "SSH takes key exchanges that FIPS validates",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-kex.conf",
            "# UBTU-22-255060\nKexAlgorithms ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-255065",
        about: "SSH asks PAM",
        files: &[(
            "etc/ssh/sshd_config.d/10-stig-pam.conf",
            "# UBTU-22-255065\nUsePAM yes\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-291010",
        about: "USB storage is not attached by itself; content then comes by other media",
        files: &[(
            "etc/modprobe.d/stig-usb-storage.conf",
            "# UBTU-22-291010\ninstall usb-storage /bin/false\nblacklist usb-storage\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-412020",
        about: "ten sessions at a time for an account",
        files: &[(
            "etc/security/limits.d/60-stig-maxlogins.conf",
            "# UBTU-22-412020\n* hard maxlogins 10\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-412030",
        about: "a shell that nobody uses ends after fifteen minutes",
        files: &[(
            "etc/profile.d/60-stig-timeout.sh",
            "# UBTU-22-412030\nTMOUT=900\nreadonly TMOUT\nexport TMOUT\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611010",
        about: "a new password has an upper-case letter (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-upper.conf",
            "# UBTU-22-611010\nucredit = -1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611015",
        about: "a new password has a lower-case letter (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-lower.conf",
            "# UBTU-22-611015\nlcredit = -1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611020",
        about: "a new password has a digit (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-digit.conf",
            "# UBTU-22-611020\ndcredit = -1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611025",
        about: "a new password has another character (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-other.conf",
            "# UBTU-22-611025\nocredit = -1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611030",
        about: "a new password is in no dictionary (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-dictionary.conf",
            "# UBTU-22-611030\ndictcheck = 1\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611035",
        about: "a new password has fifteen characters (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-length.conf",
            "# UBTU-22-611035\nminlen = 15\n",
        )],
        ..NONE
    },
    Rule {
        id: "UBTU-22-611040",
        about: "a new password differs in eight characters (where pam_pwquality is used)",
        files: &[(
            "etc/security/pwquality.conf.d/60-stig-difference.conf",
            "# UBTU-22-611040\ndifok = 8\n",
        )],
        ..NONE
    },
];
