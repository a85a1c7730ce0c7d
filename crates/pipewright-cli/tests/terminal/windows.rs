//! A pseudo console ("Creating a Pseudoconsole session"), with one program on it, which
//! runs the command as a shell would.

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::{Command, Stdio};
use std::ptr::{null, null_mut};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::System::Console::{COORD, ClosePseudoConsole, CreatePseudoConsole, HPCON};
use windows_sys::Win32::System::Threading::{
    CreateProcessW, DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT,
    GetExitCodeProcess, INFINITE, InitializeProcThreadAttributeList,
    PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    UpdateProcThreadAttribute, WaitForSingleObject,
};

use super::{COLUMNS, ROWS};
use crate::common::system::Process;
use crate::common::{Folder, binary};

/// Consoles have no name.
pub(crate) const USUAL: Option<&str> = None;

/// The file in which the shell finds what to do: the terminal's name, and the arguments,
/// each on a line.
const TOLD: &str = "told";

pub(crate) struct Terminal {
    shell: Process,
    _console: PseudoConsole,
}

impl Terminal {
    /// Starts the command, and gives what comes out of the terminal.
    pub(super) fn start(
        term: Option<&str>,
        folder: &Folder,
        args: &[&str],
    ) -> (Terminal, Receiver<Vec<u8>>) {
        let (console, mut main) = PseudoConsole::new();
        let told = [&[term.unwrap_or_default()], args].concat();
        folder.write(TOLD, told.join("\n").as_bytes());
        let program = std::env::current_exe().unwrap();
        let command = format!(
            "\"{}\" --ignored --exact terminal::system::shell",
            program.display()
        );
        let shell = console.start(&command, folder);
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = main.read(&mut buffer) {
                let _ = sender.send(buffer[..len].to_vec());
            }
        });
        let terminal = Terminal {
            shell,
            _console: console,
        };
        (terminal, output)
    }

    pub(crate) fn process(&self) -> Process {
        self.shell.clone()
    }

    /// Waits for the end of the command, after which the shell has written `<end>`.
    pub(super) fn end(&mut self) -> i32 {
        let mut code = 0;
        let process = self.shell.as_handle().as_raw_handle();
        // SAFETY: the handle is open, and has all rights.
        unsafe { WaitForSingleObject(process, INFINITE) };
        // SAFETY: as above; `code` lives for the call.
        checked(unsafe { GetExitCodeProcess(process, &raw mut code) });
        code.cast_signed()
    }
}

#[test]
#[ignore = "it is the program that other tests start on a console"]
fn shell() {
    let told = std::fs::read_to_string(TOLD).unwrap();
    let mut told = told.lines();
    let screen = File::options().read(true).write(true).open("CONOUT$");
    let mut screen = screen.unwrap();
    let mut command = Command::new(binary());
    match told.next().unwrap() {
        "" => command.env_remove("TERM"),
        term => command.env("TERM", term),
    };
    let status = command
        .args(told)
        .stdin(Stdio::null())
        .stdout(screen.try_clone().unwrap())
        .stderr(screen.try_clone().unwrap())
        .status();
    screen.write_all(b"<end>").unwrap();
    std::process::exit(status.unwrap().code().unwrap());
}

struct PseudoConsole {
    console: HPCON,
    /// What would be typed.
    _keys: PipeWriter,
}

impl PseudoConsole {
    /// With its output.
    fn new() -> (PseudoConsole, io::PipeReader) {
        let (typed, keys) = io::pipe().unwrap();
        let (shown, screen) = io::pipe().unwrap();
        let size = COORD {
            X: COLUMNS.cast_signed(),
            Y: ROWS.cast_signed(),
        };
        let (typed, screen) = (OwnedHandle::from(typed), OwnedHandle::from(screen));
        let mut console = 0;
        // SAFETY: the handles are open; the console has duplicates of them. `console`
        // lives for the call.
        let result = unsafe {
            CreatePseudoConsole(
                size,
                typed.as_raw_handle(),
                screen.as_raw_handle(),
                0,
                &raw mut console,
            )
        };
        assert_eq!(result, 0, "no pseudo console: {result:#x}");
        let console = PseudoConsole {
            console,
            _keys: keys,
        };
        (console, shown)
    }

    /// Starts a program on this console, with standard handles that lead nowhere.
    fn start(&self, command: &str, folder: &Folder) -> Process {
        let attributes = Attributes::with_console(self.console);
        let null_device = inheritable_null();
        let mut info = STARTUPINFOEXW::default();
        info.StartupInfo.cb = size_of::<STARTUPINFOEXW>().try_into().unwrap();
        // Otherwise it might get those of this program.
        info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        info.StartupInfo.hStdInput = null_device.as_raw_handle();
        info.StartupInfo.hStdOutput = null_device.as_raw_handle();
        info.StartupInfo.hStdError = null_device.as_raw_handle();
        info.lpAttributeList = attributes.0.as_ptr().cast_mut().cast();
        let mut command: Vec<u16> = command.encode_utf16().chain([0]).collect();
        let folder: Vec<u16> = folder
            .path(".")
            .as_os_str()
            .encode_wide()
            .chain([0])
            .collect();
        let mut started = PROCESS_INFORMATION::default();
        // SAFETY: the strings end with 0, and live for the call, as do the attributes,
        // which are initialised. Null stands for the defaults.
        checked(unsafe {
            CreateProcessW(
                null(),
                command.as_mut_ptr(),
                null(),
                null(),
                1,
                EXTENDED_STARTUPINFO_PRESENT,
                null(),
                folder.as_ptr(),
                &raw const info.StartupInfo,
                &raw mut started,
            )
        });
        // SAFETY: it was just opened, and is ours.
        drop(unsafe { OwnedHandle::from_raw_handle(started.hThread) });
        // SAFETY: as above.
        let process = unsafe { OwnedHandle::from_raw_handle(started.hProcess) };
        Process::new(process, started.dwProcessId)
    }
}

impl Drop for PseudoConsole {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody else's. Its output is read by a thread, for
        // which this may wait.
        unsafe { ClosePseudoConsole(self.console) };
    }
}

/// A list of attributes for a new process: memory that is initialised as such.
struct Attributes(Vec<usize>);

impl Attributes {
    fn with_console(console: HPCON) -> Attributes {
        let mut size = 0;
        // SAFETY: without memory it says how much it needs, and fails.
        unsafe { InitializeProcThreadAttributeList(null_mut(), 1, 0, &raw mut size) };
        let mut list = Attributes(vec![0; size.div_ceil(size_of::<usize>())]);
        let memory = list.0.as_mut_ptr().cast();
        // SAFETY: the memory has the size that was asked for.
        checked(unsafe { InitializeProcThreadAttributeList(memory, 1, 0, &raw mut size) });
        // SAFETY: the list is initialised, with room for one attribute. The value of this
        // one is the console itself.
        checked(unsafe {
            UpdateProcThreadAttribute(
                memory,
                0,
                PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE as usize,
                console as *const _,
                size_of::<HPCON>(),
                null_mut(),
                null(),
            )
        });
        list
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: it is initialised.
        unsafe { DeleteProcThreadAttributeList(self.0.as_mut_ptr().cast()) };
    }
}

/// Inherited by whatever is started meanwhile, too, which does no harm.
fn inheritable_null() -> File {
    let file = File::options().read(true).write(true).open("NUL").unwrap();
    let handle = file.as_raw_handle();
    // SAFETY: the handle is open, and ours.
    checked(unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) });
    file
}

fn checked(done: i32) {
    assert_ne!(done, 0, "{}", io::Error::last_os_error());
}
