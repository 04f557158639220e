import { Navigate, Outlet, useLocation } from 'react-router'
import { useUser } from './user'

/** The pages within require a login, after which the requested page is shown. */
export function RequireAuth() {
  const user = useUser()
  const { pathname, search } = useLocation()

  if (user === null) {
    const state = { from: pathname + search }
    return <Navigate to="/login" replace state={state} />
  }
  // The key resets them for another user, so that nothing of the previous one's remains.
  return <Outlet key={user} />
}
