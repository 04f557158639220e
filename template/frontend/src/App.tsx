import { useEffect, useRef } from 'react'
import { Link, NavLink, Outlet, ScrollRestoration, useLocation, useNavigate } from 'react-router'
import { appName } from './appName'
import { clearToken, useIsLoggedIn } from './auth/token'

export function App() {
  const isLoggedIn = useIsLoggedIn()
  const navigate = useNavigate()
  const { pathname } = useLocation()
  const main = useRef<HTMLElement>(null)
  const shownPath = useRef(pathname)

  // A new page starts at its top for the keyboard and for screen readers, too.
  useEffect(() => {
    if (shownPath.current !== pathname) {
      shownPath.current = pathname
      main.current?.focus()
    }
  }, [pathname])

  function logOut() {
    clearToken()
    void navigate('/login')
  }

  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header>
        <Link className="brand" to="/">
          {appName}
        </Link>
        <nav aria-label="Account">
          {isLoggedIn ? (
            <>
              <NavLink to="/account">Account</NavLink>
              <button type="button" onClick={logOut}>
                Log out
              </button>
            </>
          ) : (
            <>
              <NavLink to="/login">Log in</NavLink>
              <NavLink to="/register">Register</NavLink>
            </>
          )}
        </nav>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Outlet />
      </main>
      <ScrollRestoration />
    </>
  )
}
